//! Takes values from the environment and the file, turns them into what they mean, and collects all problems.

use super::{secret::Secret, variable};
use std::{fmt, net::SocketAddr, path::Path, path::PathBuf, str::FromStr};

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The variable, or the file.
    pub subject: String,
    /// What is wrong and what to write instead. Never holds a secret's value.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.message)
    }
}

/// Gives the value of a variable.
type Environment = dyn Fn(&str) -> Option<String>;

/// Reads variables by name and remembers what was wrong with them.
pub struct Reader {
    environment: Box<Environment>,
    file: toml::Table,
    problems: Vec<Problem>,
}

impl Reader {
    /// Opens the file, where one is named, and refuses keys that nobody reads.
    ///
    /// # Errors
    /// The file cannot be read, is not TOML, or holds a key that is not known.
    pub fn new(
        file: Option<&Path>,
        environment: impl Fn(&str) -> Option<String> + 'static,
    ) -> Result<Self, Vec<Problem>> {
        let file = match file {
            None => toml::Table::new(),
            Some(path) => read_file(path)?,
        };
        Ok(Self { environment: Box::new(environment), file, problems: Vec::new() })
    }

    /// A variable of the environment that is not ours, as HOME.
    pub fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    /// The value as it was written: the environment's, else the file's. An empty text counts as not set.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let written = self.environment(name).or_else(|| {
            let key = variable::find(name)?.key;
            let (section, key) = key.split_once('.')?;
            let value = self.file.get(section)?.get(key)?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        written.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// A secret, taken from where its reference points.
    pub fn secret(&mut self, name: &'static str) -> Option<Secret> {
        let written = self.text(name)?;
        match Secret::resolve(&written, |name| self.environment(name)) {
            Ok(secret) => Some(secret),
            Err(message) => {
                self.problem(name, message);
                None
            }
        }
    }

    /// `true` or `false`, also `1`, `0`, `yes`, `no`; false where it is not set.
    pub fn flag(&mut self, name: &'static str) -> bool {
        match self.text(name).as_deref() {
            None | Some("false" | "0" | "no") => false,
            Some("true" | "1" | "yes") => true,
            Some(other) => {
                self.problem(name, format!("{other:?} is neither true nor false"));
                false
            }
        }
    }

    /// A whole number between two bounds, both allowed.
    pub fn number<N: FromStr + PartialOrd + fmt::Display + Copy>(
        &mut self,
        name: &'static str,
        least: N,
        most: N,
    ) -> Option<N> {
        let written = self.text(name)?;
        match written.parse::<N>() {
            Ok(number) if number >= least && number <= most => Some(number),
            _ => {
                self.problem(name, format!("{written:?} is not a whole number from {least} to {most}"));
                None
            }
        }
    }

    /// An address and port to listen on.
    pub fn address(&mut self, name: &'static str, default: SocketAddr) -> SocketAddr {
        let Some(written) = self.text(name) else { return default };
        written.parse().unwrap_or_else(|_| {
            self.problem(name, format!("{written:?} is not an address with a port, as 127.0.0.1:3000"));
            default
        })
    }

    /// An http or https address without a slash at the end.
    pub fn url(&mut self, name: &'static str) -> Option<String> {
        let written = self.text(name)?;
        let url = written.trim_end_matches('/').to_owned();
        let parsed: Option<http::Uri> = url.parse().ok();
        let whole = parsed.is_some_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && uri.query().is_none()
        });
        if whole {
            return Some(url);
        }
        self.problem(name, format!("{written:?} is not an address that starts with http:// or https://"));
        None
    }

    /// An absolute path.
    pub fn path(&mut self, name: &'static str) -> Option<PathBuf> {
        let written = self.text(name)?;
        match std::path::absolute(&written) {
            Ok(path) => Some(path),
            Err(_) => {
                self.problem(name, format!("{written:?} is not a path"));
                None
            }
        }
    }

    /// Absolute paths with commas between them; empty where it is not set.
    pub fn paths(&mut self, name: &'static str) -> Vec<PathBuf> {
        let written = self.text(name).unwrap_or_default();
        let parts = written.split(',').map(str::trim).filter(|part| !part.is_empty());
        let paths: Result<_, _> = parts.map(std::path::absolute).collect();
        paths.unwrap_or_else(|_| {
            self.problem(name, format!("{written:?} is not a list of paths"));
            Vec::new()
        })
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)], default: T) -> T {
        let Some(written) = self.text(name) else { return default };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == written) {
            return *value;
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        self.problem(name, format!("{written:?} is not known: {}", words.join(" or ")));
        default
    }

    /// Notes a problem of a variable.
    pub fn problem(&mut self, subject: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { subject: subject.into(), message: message.into() });
    }

    /// Whether all was well.
    ///
    /// # Errors
    /// All that was not.
    pub fn finish(self) -> Result<(), Vec<Problem>> {
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems) }
    }
}

fn read_file(path: &Path) -> Result<toml::Table, Vec<Problem>> {
    let subject = path.display().to_string();
    let problem = |message: String| vec![Problem { subject: subject.clone(), message }];
    let text = std::fs::read_to_string(path).map_err(|error| problem(format!("cannot be read: {error}")))?;
    // The parser's own message shows the line, which may hold a secret; the position is enough.
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        problem(format!("line {line} is not TOML: {}", error.message()))
    })?;
    let unknown = unknown_keys(&table);
    if unknown.is_empty() {
        return Ok(table);
    }
    Err(unknown.into_iter().flat_map(|key| problem(format!("{key} is not known; see turnpike serve --help"))).collect())
}

fn unknown_keys(table: &toml::Table) -> Vec<String> {
    let known = |key: &str| variable::VARIABLES.iter().any(|variable| !key.is_empty() && variable.key == key);
    let mut unknown = Vec::new();
    for (section, values) in table {
        match values.as_table() {
            Some(values) => {
                let keys = values.keys().map(|key| format!("{section}.{key}"));
                unknown.extend(keys.filter(|key| !known(key)));
            }
            None => unknown.push(section.clone()),
        }
    }
    unknown
}
