//! The design system: every page is built from these, and `pages/gallery.rs` shows each in every state (`/gallery`).
//!
//! `use crate::components::*;`, then (optional text props take `"text"`, a `String` or an `Option` of either; props that are a
//! piece of page take `view! { .. }` or a closure that makes one):
//!
//! ```text
//! SHELLS    <PortalShell partner="Acme" path nav=vec![NavGroup::new(vec![NavItem::new("Keys", "/keys", IconName::Key)])]
//!               person=email theme live=Some(false) banner=view!{..}> page </PortalShell>
//!           <ConsoleShell path nav person theme> .. </ConsoleShell>
//!           <PublicShell path theme links=vec![("Pricing".into(), "/pricing".into())] actions=view!{..}> .. </PublicShell>
//!           <SignInCard title="Sign in" description="" below=view!{..}> <Form ..> </SignInCard>
//! PAGE      <Breadcrumbs trail=vec![Crumb::new("Keys", "/keys")] current="Checkout"/>
//!           <PageHeader title="Keys" description="" beside=view!{<Badge ../>}> buttons </PageHeader>
//!           <Card title="" description="" actions=view!{..} flush=true id=""> .. </Card>       flush: for a table or list
//!           <Stack tight=true> <Cluster spread=true> <Columns> <Split aside=view!{..}> <Prose>  where things stand
//!           <DocsLayout label="Payments API" contents=view!{<ul>..</ul>}>  <Operation id code=view!{..}>  reference pages
//!           <Tabs label="Product" tabs=vec![Tab::new("Settings", "/x").count(3)] current="/x"/>
//! ACTIONS   <Button kind=ButtonKind::Primary size=Size::Small icon=IconName::Plus name="" value="" form="">"Create key"</Button>
//!           <ButtonLink href="" kind icon>"..."</ButtonLink>   kinds: Primary (one a page), Secondary, Quiet, Danger
//!           <DialogButton dialog="revoke-1" kind>"Revoke"</DialogButton> with <Dialog id="revoke-1" title=""> <Confirm/> </Dialog>
//!           <Confirm action="/keys/1/revoke" text="" confirm="Revoke key" cancel="/keys" danger=true> hidden inputs </Confirm>
//!           (every Confirm also has a page of its own; link to it with ButtonLink)
//!           <Menu id="m1" label="More for Checkout"> <MenuLink href label icon/> <MenuButton action label danger=true/> </Menu>
//! FORMS     <Form action="/keys" inline=true enctype=""> <ErrorSummary problems=flash().problems_of("keys/create")/>   (field name, sentence)
//!             <FormSection title="" description=""> <FormRow>
//!             <TextField label name value hint error required=true autocomplete="email" kind="email" inputmode mono=true
//!                 narrow=true prefix="$" suffix="calls" placeholder maxlength=80 readonly=true autofocus=true/>
//!             <PasswordField new=true/>  <TextArea label name value rows=8 mono=true/>
//!             <SelectField label name choices=vec![Choice::new("eur", "Euro")] value blank="Any"/>
//!             <CheckField label name checked=true/>  <RadioCards legend name choices=vec![Choice::new(..).hint("").aside("$49")] value/>
//!             <FormActions cancel="/keys" cancel_label="Keep it"> buttons </FormActions>
//!           <FilterBar action="/requests" label="Filter requests"> fields, button </FilterBar>          a GET form
//!           a field's id is field_id(name), "field-" and the name, unless id= says otherwise
//! TABLES    <DataTable caption="" caption_hidden=true columns=vec![Column::text("Name"), Column::numeric("Calls"), Column::actions()]
//!               stack=true foot=view!{..}> <tr> <Cell label="Name" head=true> <Cell label="Calls" numeric=true> <Cell actions=true> </tr> </DataTable>
//!           <Pagination previous=None next=Some(url) summary="Newest 50"/>
//!           <DescriptionList> <Description label="Plan">"Pro"</Description> </DescriptionList>
//! STATES    <EmptyState title text icon> one action </EmptyState>  <ErrorState title text request_id> way out </ErrorState>
//!           <Skeleton kind=SkeletonKind::Table count=5/>  <Notice tone=Tone::Warning title=""> .. </Notice>
//!           <ToastRegion> <Toast tone text/> </ToastRegion>
//! WORDS     <Badge text tone/>  <MethodBadge method="GET"/>  <CallPath method path/>  <StatusCode code=200/>  <EnvironmentBadge live=true/>  <Icon name/>
//!           <Figure value=1204 unit="calls"/>  <MoneyText amount/>  <TimeText at seconds=true/>  <TimeText at date=true/>
//!           <RelativeTime at now/>  <KeyHint start="tp_live_4fQz"/>  <Secret label="Your live key" value/>
//! CODE      <CodeBlock code language="json" title="" short=true/>  <CodeTabs id label samples=vec![CodeSample::new("Python", "python", code)]/>
//!           <CopyButton text=".."/> or <CopyButton target="id-of-element"/>        (in the server's HTML either way; hidden without script)
//! FIGURES   <StatGrid> <Stat label figure delta tone hint> <Sparkline label values/> </Stat> </StatGrid>
//!           <Meter label used limit=Some(10_000) unit="calls" soft hint/>  <ProgressBar label done total/>
//!           <BarChart title description unit labels series=vec![Series::new("Served", Tone::Info, [1, 2])]
//!               threshold=Threshold { label, value }/>  <LineChart ..same/>           missing values: Series::with_gaps, and incomplete=vec![..] on bars
//!           <PlanGrid> <PlanCard name price price_note features=vec![..] highlighted=true current=true> action </PlanCard> </PlanGrid>
//!           <Checklist steps=vec![ChecklistStep::new(title, text, href, done)]/>  <Timeline entries now/>
//! ```
//!
//! Rules: classes only, never `style=`; one `<h1>` (PageHeader), then `<h2>` (Card); a colour always has a word beside it.

mod badge;
mod button;
mod card;
mod chart;
mod checklist;
mod choice_field;
mod code_block;
mod copy_button;
mod data_table;
mod description_list;
mod dialog;
mod field;
mod figure;
mod form;
mod frame;
mod highlight;
mod icon;
mod layout;
mod logo;
mod maybe_text;
mod meter;
mod notice;
mod page_header;
mod plan_card;
mod secret;
mod shells;
mod slot;
mod stat;
mod state;
mod tabs;
mod text_area;
mod text_field;
mod theme;
mod tone;

pub use badge::*;
pub use button::*;
pub use card::*;
pub use chart::*;
pub use checklist::*;
pub use choice_field::*;
pub use code_block::*;
pub use copy_button::*;
pub use data_table::*;
pub use description_list::*;
pub use dialog::*;
pub use field::*;
pub use figure::*;
pub use form::*;
pub use frame::*;
pub use icon::*;
pub use layout::*;
pub use logo::*;
pub use maybe_text::*;
pub use meter::*;
pub use notice::*;
pub use page_header::*;
pub use plan_card::*;
pub use secret::*;
pub use shells::*;
pub use slot::*;
pub use stat::*;
pub use state::*;
pub use tabs::*;
pub use text_area::*;
pub use text_field::*;
pub use theme::*;
pub use tone::*;
