//! Icons: 24 by 24 line drawings from the Lucide set (ISC, see public/LICENSES/lucide.txt), always beside a text.

use leptos::prelude::*;

/// Which drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IconName {
    ArrowDown,
    ArrowRight,
    ArrowUp,
    Book,
    Box,
    Building,
    Calendar,
    Card,
    Chart,
    Check,
    ChevronDown,
    ChevronLeft,
    ChevronRight,
    Clock,
    Close,
    Copy,
    Dashboard,
    Download,
    External,
    Failure,
    File,
    Gauge,
    Inbox,
    Info,
    Key,
    Layers,
    Lock,
    Mail,
    Menu,
    Monitor,
    Moon,
    More,
    Play,
    Plus,
    Receipt,
    Rotate,
    Search,
    Settings,
    Shield,
    SignOut,
    Success,
    Sun,
    Tag,
    Terminal,
    Trash,
    Users,
    Warning,
}

impl IconName {
    /// All of them, for the gallery.
    pub const ALL: [Self; 47] = [
        Self::ArrowDown,
        Self::ArrowRight,
        Self::ArrowUp,
        Self::Book,
        Self::Box,
        Self::Building,
        Self::Calendar,
        Self::Card,
        Self::Chart,
        Self::Check,
        Self::ChevronDown,
        Self::ChevronLeft,
        Self::ChevronRight,
        Self::Clock,
        Self::Close,
        Self::Copy,
        Self::Dashboard,
        Self::Download,
        Self::External,
        Self::Failure,
        Self::File,
        Self::Gauge,
        Self::Inbox,
        Self::Info,
        Self::Key,
        Self::Layers,
        Self::Lock,
        Self::Mail,
        Self::Menu,
        Self::Monitor,
        Self::Moon,
        Self::More,
        Self::Play,
        Self::Plus,
        Self::Receipt,
        Self::Rotate,
        Self::Search,
        Self::Settings,
        Self::Shield,
        Self::SignOut,
        Self::Success,
        Self::Sun,
        Self::Tag,
        Self::Terminal,
        Self::Trash,
        Self::Users,
        Self::Warning,
    ];

    const fn shapes(self) -> &'static str {
        match self {
            Self::ArrowDown => "<path d='M12 5v14'/><path d='m19 12-7 7-7-7'/>",
            Self::ArrowRight => "<path d='M5 12h14'/><path d='m12 5 7 7-7 7'/>",
            Self::ArrowUp => "<path d='m5 12 7-7 7 7'/><path d='M12 19V5'/>",
            Self::Book => {
                "<path d='M12 5v16'/><path d='M20.001 19A2 2 0 0022 17V5a2 2 0 00-1.999-2L16 3.002A5 5 0 0012 5a5 5 0 \
                 00-4-2H4a2 2 0 00-2 2v12a2 2 0 001.999 2H8a5 5 0 014 2 5 5 0 014-2z'/>"
            }
            Self::Box => {
                "<path d='M21 8a2 2 0 0 0-1-1.73l-7-4a2 2 0 0 0-2 0l-7 4A2 2 0 0 0 3 8v8a2 2 0 0 0 1 1.73l7 4a2 2 0 0 \
                 0 2 0l7-4A2 2 0 0 0 21 16Z'/><path d='m3.3 7 8.7 5 8.7-5'/><path d='M12 22V12'/>"
            }
            Self::Building => {
                "<path d='M10 12h4'/><path d='M10 8h4'/><path d='M14 21v-3a2 2 0 0 0-4 0v3'/><path d='M6 10H4a2 2 0 0 \
                 0-2 2v7a2 2 0 0 0 2 2h16a2 2 0 0 0 2-2V9a2 2 0 0 0-2-2h-2'/><path d='M6 21V5a2 2 0 0 1 2-2h8a2 2 0 \
                 0 1 2 2v16'/>"
            }
            Self::Calendar => {
                "<path d='M8 2v3'/><path d='M16 2v3'/><rect x='3' y='3' width='18' height='18' rx='2'/><path d='M3 \
                 9h18'/>"
            }
            Self::Card => {
                "<rect width='20' height='14' x='2' y='5' rx='2'/><line x1='2' x2='22' y1='10' y2='10'/><path d='M6 \
                 14h2'/>"
            }
            Self::Chart => {
                "<path d='M3 3v16a2 2 0 0 0 2 2h16'/><path d='M18 17V9'/><path d='M13 17V5'/><path d='M8 17v-3'/>"
            }
            Self::Check => "<path d='M20 6 9 17l-5-5'/>",
            Self::ChevronDown => "<path d='m6 9 6 6 6-6'/>",
            Self::ChevronLeft => "<path d='m15 18-6-6 6-6'/>",
            Self::ChevronRight => "<path d='m9 18 6-6-6-6'/>",
            Self::Clock => "<circle cx='12' cy='12' r='10'/><path d='M12 6v6l4 2'/>",
            Self::Close => "<path d='M18 6 6 18'/><path d='m6 6 12 12'/>",
            Self::Copy => {
                "<rect width='14' height='14' x='8' y='8' rx='2' ry='2'/><path d='M4 16c-1.1 0-2-.9-2-2V4c0-1.1.9-2 \
                 2-2h10c1.1 0 2 .9 2 2'/>"
            }
            Self::Dashboard => {
                "<rect width='7' height='9' x='3' y='3' rx='1'/><rect width='7' height='5' x='14' y='3' rx='1'/><rect \
                 width='7' height='9' x='14' y='12' rx='1'/><rect width='7' height='5' x='3' y='16' rx='1'/>"
            }
            Self::Download => {
                "<path d='M12 15V3'/><path d='M21 15v4a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-4'/><path d='m7 10 5 5 5-5'/>"
            }
            Self::External => {
                "<path d='M15 3h6v6'/><path d='M10 14 21 3'/><path d='M18 13v6a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2V8a2 2 0 \
                 0 1 2-2h6'/>"
            }
            Self::Failure => "<circle cx='12' cy='12' r='10'/><path d='m15 9-6 6'/><path d='m9 9 6 6'/>",
            Self::File => {
                "<path d='M6 22a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2h8a2.4 2.4 0 0 1 1.704.706l3.588 3.588A2.4 2.4 0 0 1 20 \
                 8v12a2 2 0 0 1-2 2z'/><path d='M14 2v5a1 1 0 0 0 1 1h5'/><path d='M10 9H8'/><path d='M16 13H8'/>\
                 <path d='M16 17H8'/>"
            }
            Self::Gauge => "<path d='m12 14 4-4'/><path d='M3.34 19a10 10 0 1 1 17.32 0'/>",
            Self::Inbox => {
                "<polyline points='22 12 16 12 14 15 10 15 8 12 2 12'/><path d='M5.45 5.11 2 12v6a2 2 0 0 0 2 2h16a2 \
                 2 0 0 0 2-2v-6l-3.45-6.89A2 2 0 0 0 16.76 4H7.24a2 2 0 0 0-1.79 1.11z'/>"
            }
            Self::Info => "<circle cx='12' cy='12' r='10'/><path d='M12 16v-4'/><path d='M12 8h.01'/>",
            Self::Key => {
                "<path d='m2 21 9.6-9.6'/><path d='m7.5 15.5 2.3 2.3a1 1 0 0 1 0 1.4l-2.1 2.1a1 1 0 0 1-1.4 0L4 19'/>\
                 <circle cx='15.5' cy='7.5' r='5.5'/>"
            }
            Self::Layers => {
                "<path d='M12.83 2.18a2 2 0 0 0-1.66 0L2.6 6.08a1 1 0 0 0 0 1.83l8.58 3.91a2 2 0 0 0 1.66 \
                 0l8.58-3.9a1 1 0 0 0 0-1.83z'/><path d='M2 12a1 1 0 0 0 .58.91l8.6 3.91a2 2 0 0 0 1.65 0l8.58-3.9A1 \
                 1 0 0 0 22 12'/><path d='M2 17a1 1 0 0 0 .58.91l8.6 3.91a2 2 0 0 0 1.65 0l8.58-3.9A1 1 0 0 0 22 \
                 17'/>"
            }
            Self::Lock => {
                "<rect width='18' height='11' x='3' y='11' rx='2' ry='2'/><path d='M7 11V7a5 5 0 0 1 10 0v4'/>"
            }
            Self::Mail => {
                "<path d='m22 7-8.991 5.727a2 2 0 0 1-2.009 0L2 7'/><rect x='2' y='4' width='20' height='16' rx='2'/>"
            }
            Self::Menu => "<path d='M4 5h16'/><path d='M4 12h16'/><path d='M4 19h16'/>",
            Self::Monitor => {
                "<rect width='20' height='14' x='2' y='3' rx='2'/><line x1='8' x2='16' y1='21' y2='21'/><line x1='12' \
                 x2='12' y1='17' y2='21'/>"
            }
            Self::Moon => {
                "<path d='M20.985 12.486a9 9 0 1 1-9.473-9.472c.405-.022.617.46.402.803a6 6 0 0 0 8.268 \
                 8.268c.344-.215.825-.004.803.401'/>"
            }
            Self::More => {
                "<circle cx='12' cy='12' r='1'/><circle cx='19' cy='12' r='1'/><circle cx='5' cy='12' r='1'/>"
            }
            Self::Play => {
                "<path d='M5 5a2 2 0 0 1 3.008-1.728l11.997 6.998a2 2 0 0 1 .003 3.458l-12 7A2 2 0 0 1 5 19z'/>"
            }
            Self::Plus => "<path d='M5 12h14'/><path d='M12 5v14'/>",
            Self::Receipt => {
                "<path d='M13 16H8'/><path d='M14 8H8'/><path d='M16 12H8'/><path d='M4 3a1 1 0 0 1 1-1 1.3 1.3 0 0 1 \
                 .7.2l.933.6a1.3 1.3 0 0 0 1.4 0l.934-.6a1.3 1.3 0 0 1 1.4 0l.933.6a1.3 1.3 0 0 0 1.4 0l.933-.6a1.3 \
                 1.3 0 0 1 1.4 0l.934.6a1.3 1.3 0 0 0 1.4 0l.933-.6A1.3 1.3 0 0 1 19 2a1 1 0 0 1 1 1v18a1 1 0 0 1-1 \
                 1 1.3 1.3 0 0 1-.7-.2l-.933-.6a1.3 1.3 0 0 0-1.4 0l-.934.6a1.3 1.3 0 0 1-1.4 0l-.933-.6a1.3 1.3 0 0 \
                 0-1.4 0l-.933.6a1.3 1.3 0 0 1-1.4 0l-.934-.6a1.3 1.3 0 0 0-1.4 0l-.933.6a1.3 1.3 0 0 1-.7.2 1 1 0 0 \
                 1-1-1z'/>"
            }
            Self::Rotate => "<path d='M21 12a9 9 0 1 1-9-9c2.52 0 4.93 1 6.74 2.74L21 8'/><path d='M21 3v5h-5'/>",
            Self::Search => "<path d='m21 21-4.34-4.34'/><circle cx='11' cy='11' r='8'/>",
            Self::Settings => {
                "<path d='M9.671 4.136a2.34 2.34 0 0 1 4.659 0 2.34 2.34 0 0 0 3.319 1.915 2.34 2.34 0 0 1 2.33 4.033 \
                 2.34 2.34 0 0 0 0 3.831 2.34 2.34 0 0 1-2.33 4.033 2.34 2.34 0 0 0-3.319 1.915 2.34 2.34 0 0 \
                 1-4.659 0 2.34 2.34 0 0 0-3.32-1.915 2.34 2.34 0 0 1-2.33-4.033 2.34 2.34 0 0 0 0-3.831A2.34 2.34 0 \
                 0 1 6.35 6.051a2.34 2.34 0 0 0 3.319-1.915'/><circle cx='12' cy='12' r='3'/>"
            }
            Self::Shield => {
                "<path d='M20 13c0 5-3.5 7.5-7.66 8.95a1 1 0 0 1-.67-.01C7.5 20.5 4 18 4 13V6a1 1 0 0 1 1-1c2 0 \
                 4.5-1.2 6.24-2.72a1.17 1.17 0 0 1 1.52 0C14.51 3.81 17 5 19 5a1 1 0 0 1 1 1z'/>"
            }
            Self::SignOut => {
                "<path d='m16 17 5-5-5-5'/><path d='M21 12H9'/><path d='M9 21H5a2 2 0 0 1-2-2V5a2 2 0 0 1 2-2h4'/>"
            }
            Self::Success => "<circle cx='12' cy='12' r='10'/><path d='m16 9-5.5 5.5L8 12'/>",
            Self::Sun => {
                "<circle cx='12' cy='12' r='4'/><path d='M12 2v2'/><path d='M12 20v2'/><path d='m4.93 4.93 1.41 \
                 1.41'/><path d='m17.66 17.66 1.41 1.41'/><path d='M2 12h2'/><path d='M20 12h2'/><path d='m6.34 \
                 17.66-1.41 1.41'/><path d='m19.07 4.93-1.41 1.41'/>"
            }
            Self::Tag => "<path d='M3 4a1 1 0 0 1 1-1h8l9 9-9 9-9-9z'/><path d='M7.5 7.5h.01'/>",
            Self::Terminal => "<path d='M12 19h8'/><path d='m4 17 6-6-6-6'/>",
            Self::Trash => {
                "<path d='M10 11v6'/><path d='M14 11v6'/><path d='M19 6v14a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V6'/><path \
                 d='M3 6h18'/><path d='M8 6V4a2 2 0 0 1 2-2h4a2 2 0 0 1 2 2v2'/>"
            }
            Self::Users => {
                "<path d='M16 21v-2a4 4 0 0 0-4-4H6a4 4 0 0 0-4 4v2'/><path d='M16 3.128a4 4 0 0 1 0 7.744'/><path \
                 d='M22 21v-2a4 4 0 0 0-3-3.87'/><circle cx='9' cy='7' r='4'/>"
            }
            Self::Warning => {
                "<path d='m21.73 18-8-14a2 2 0 0 0-3.48 0l-8 14A2 2 0 0 0 4 21h16a2 2 0 0 0 1.73-3'/><path d='M12 \
                 9v4'/><path d='M12 17h.01'/>"
            }
        }
    }
}

/// A decoration: hidden from screen readers, coloured by the text around it.
#[component]
pub fn Icon(
    name: IconName,
    /// A further class.
    #[prop(optional, into)]
    class: String,
) -> impl IntoView {
    view! {
        <svg
            class=format!("icon {class}").trim_end().to_owned()
            viewBox="0 0 24 24"
            width="16"
            height="16"
            fill="none"
            stroke="currentColor"
            stroke-width="2"
            stroke-linecap="round"
            stroke-linejoin="round"
            aria-hidden="true"
            focusable="false"
            inner_html=name.shapes()
        ></svg>
    }
}
