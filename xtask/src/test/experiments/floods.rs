//! Deployments, slow clients, floods and changes under load. `cargo xtask chaos deploy`, `slow-clients`, `http2-floods` and `crowd`
//! are the long runs.

use super::Experiment;

pub fn experiments() -> Vec<Experiment> {
    let deploy = ["deploy", "--rounds", "1", "--connections", "8", "--notice", "1", "--untimed"];
    let slow =
        ["slow-clients", "--connections", "600", "--seconds", "9", "--head", "1", "--trickle", "400", "--untimed"];
    let floods = ["http2-floods", "--kind", "settings", "--untimed"];
    let crowd = ["crowd", "--keys", "2000", "--partners", "200", "--routes", "20", "--untimed", "--changes"];
    vec![
        Experiment::new("Restarting gateways under load fails no call and loses no event", &deploy),
        Experiment::and("Control run: gateways that are killed fail calls", &deploy, &["--control", "kill"]),
        Experiment::new("Clients that are slow on purpose are closed, and others are served", &slow),
        Experiment::and("Control run: without deadlines they stay", &slow, &["--control"]),
        Experiment::and("A flood of frames closes its connection and harms nobody", &floods, &["--seconds", "1"]),
        Experiment::and(
            "Control run: a bare HTTP/2 server goes on taking them",
            &floods,
            &["--seconds", "7", "--control"],
        ),
        Experiment::and(
            "Changes of keys, plans and policies come into force under load and fail no call",
            &crowd,
            &["4"],
        ),
        Experiment::and(
            "Control run: a gateway that is restarted for a change fails calls",
            &crowd,
            &["1", "--control"],
        ),
    ]
}
