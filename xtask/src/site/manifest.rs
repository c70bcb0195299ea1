//! manifest.json: the names of the current build, for whoever serves it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::cannot;
use crate::Outcome;

/// What is in the site folder.
pub struct Manifest {
    /// `turnpike-1a2b3c4d`, of which `.js` and `_bg.wasm` are the two files.
    pub stem: String,
    /// File name of the style sheet in `pkg`.
    pub css: String,
    /// Path of each file of `public/` to a hash of the content, for an ETag.
    pub public: BTreeMap<String, String>,
    /// Hash over all inputs.
    pub made_from: String,
}

impl Manifest {
    pub fn write(&self, pkg: &Path) -> Outcome {
        let Self { stem, css, public, made_from } = self;
        let value = json!({
            "stem": stem,
            "js": format!("{stem}.js"),
            "wasm": format!("{stem}_bg.wasm"),
            "css": css,
            "public": public,
            "made_from": made_from,
        });
        let file = pkg.join("manifest.json");
        fs::write(&file, format!("{value:#}\n")).map_err(|why| cannot(&file, &why))
    }

    pub fn read(pkg: &Path) -> Option<Self> {
        let value: Value = serde_json::from_slice(&fs::read(pkg.join("manifest.json")).ok()?).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let public = value.get("public")?.as_object()?.iter();
        Some(Self {
            stem: text("stem")?,
            css: text("css")?,
            public: public.filter_map(|(path, hash)| Some((path.clone(), hash.as_str()?.to_owned()))).collect(),
            made_from: text("made_from")?,
        })
    }
}
