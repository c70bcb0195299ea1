//! The file with all that it points at: documents read and checked, secrets fetched.

use super::ApplyError;
use domain::{
    openapi::Document,
    plan::Problem,
    setup::{SecretSource, Setup},
};
use std::{collections::HashMap, path::Path};

/// What the installation should be.
pub struct Desired {
    pub setup: Setup,
    /// By product code.
    pub products: HashMap<String, Fetched>,
}

/// What a product of the file points at.
pub struct Fetched {
    pub document: Document,
    /// Header names in lower case and their plain values.
    pub headers: Vec<(String, String)>,
    /// What the policy refers to by name, plain.
    pub secrets: Vec<(String, String)>,
}

impl Desired {
    /// Reads the file and everything that it points at; paths are relative to the file.
    ///
    /// # Errors
    /// All problems at once, each with its place in the file.
    pub fn read(path: &Path) -> Result<Self, ApplyError> {
        let unreadable =
            |error| ApplyError::Problems(vec![Problem::new(path.display().to_string(), format!("{error}"))]);
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let setup = Setup::read(&text).map_err(ApplyError::Problems)?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut problems = Vec::new();
        let mut products = HashMap::new();
        for (code, product) in &setup.products {
            let document = read_document(&folder.join(&product.document), code, &mut problems);
            let headers = product.headers.iter().filter_map(|(name, source)| {
                let value = fetch(source, folder).and_then(one_line);
                let noted = value
                    .map_err(|message| problems.push(Problem::new(format!("products.{code}.headers.{name}"), message)));
                Some((name.to_ascii_lowercase(), noted.ok()?))
            });
            let headers = headers.collect();
            let secrets = product.secrets.iter().filter_map(|(name, source)| {
                let noted = fetch(source, folder)
                    .map_err(|message| problems.push(Problem::new(format!("products.{code}.secrets.{name}"), message)));
                Some((name.clone(), noted.ok()?))
            });
            let secrets = secrets.collect();
            let Some(document) = document else { continue };
            let known: Vec<&str> = document.operations().iter().map(|operation| operation.code.as_str()).collect();
            problems.extend(product.operation_problems(code, &setup.plans, &known));
            products.insert(code.to_owned(), Fetched { document, headers, secrets });
        }
        if problems.is_empty() { Ok(Self { setup, products }) } else { Err(ApplyError::Problems(problems)) }
    }
}

fn read_document(path: &Path, code: &str, problems: &mut Vec<Problem>) -> Option<Document> {
    let field = format!("products.{code}.document");
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            problems.push(Problem::new(field, format!("{} cannot be read: {error}", path.display())));
            return None;
        }
    };
    match Document::read(&text) {
        Ok(document) => Some(document),
        Err(wrong) => {
            problems
                .extend(wrong.into_iter().map(|one| Problem::new(field.clone(), format!("{}: {one}", path.display()))));
            None
        }
    }
}

fn fetch(source: &SecretSource, folder: &Path) -> Result<String, String> {
    match source {
        SecretSource::Value(value) => Ok(value.clone()),
        SecretSource::Environment(name) => {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            value.ok_or_else(|| format!("The environment has no {name}"))
        }
        SecretSource::File(file) => {
            let path = folder.join(file);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
            Ok(text.trim_end_matches(['\r', '\n']).to_owned())
        }
    }
}

fn one_line(value: String) -> Result<String, String> {
    if value.contains(char::is_control) { Err("A header's value is one line".to_owned()) } else { Ok(value) }
}
