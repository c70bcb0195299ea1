//! Deployments, slow clients, floods and changes under load: short runs, in which time is not judged. `cargo xtask chaos
//! deploy`, `slow-clients`, `http2-floods` and `crowd` are the long ones. They need what `kill` built.

use super::{kill::attack, tally::Tally};

pub fn check(tally: &mut Tally) {
    let deploy = ["deploy", "--rounds", "1", "--connections", "8", "--notice", "1", "--untimed"];
    tally.one("Restarting gateways under load fails no call and loses no event", || attack(&deploy));
    tally.one("Control run: gateways that are killed fail calls", || {
        attack(&[&deploy[..], &["--control", "kill"]].concat())
    });
    let slow =
        ["slow-clients", "--connections", "600", "--seconds", "9", "--head", "1", "--trickle", "400", "--untimed"];
    tally.one("Clients that are slow on purpose are closed, and others are served", || attack(&slow));
    tally.one("Control run: without deadlines they stay", || attack(&[&slow[..], &["--control"]].concat()));
    let floods = ["http2-floods", "--seconds", "1", "--kind", "settings", "--untimed"];
    tally.one("A flood of frames closes its connection and harms nobody", || attack(&floods));
    tally.one("Control run: a bare HTTP/2 server goes on taking them", || {
        attack(&["http2-floods", "--seconds", "7", "--kind", "settings", "--untimed", "--control"])
    });
    let crowd = ["crowd", "--keys", "2000", "--partners", "200", "--routes", "20", "--untimed", "--changes"];
    tally.one("Changes of keys, plans and policies come into force under load and fail no call", || {
        attack(&[&crowd[..], &["4"]].concat())
    });
    tally.one("Control run: a gateway that is restarted for a change fails calls", || {
        attack(&[&crowd[..], &["1", "--control"]].concat())
    });
}
