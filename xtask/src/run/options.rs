//! What `cargo xtask run` was asked for.

use super::Ports;
use crate::Outcome;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Throw away what earlier runs left.
    pub fresh: bool,
    /// Start the stand-in for Stripe too, and collect through it.
    pub stand_in: bool,
    pub release: bool,
    pub ports: Ports,
}

impl Options {
    pub fn read(arguments: &[String]) -> Outcome<Self> {
        let mut options = Self { fresh: false, stand_in: false, release: false, ports: Ports::USUAL };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--fresh" => options.fresh = true,
                "--with-stripe-stand-in" => options.stand_in = true,
                "--release" => options.release = true,
                "--port-base" => options.ports = Ports::from(rest.next().map_or("", String::as_str))?,
                other => match other.strip_prefix("--port-base=") {
                    Some(base) => options.ports = Ports::from(base)?,
                    None => {
                        return Err(format!(
                            "cargo xtask run does not know `{other}`. cargo xtask help lists what it knows."
                        ));
                    }
                },
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Outcome<Options> {
        Options::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn all_of_it_is_understood_and_nothing_else() {
        let options = read("--fresh --port-base 4000 --with-stripe-stand-in").unwrap();
        assert!(options.fresh && options.stand_in && !options.release);
        assert_eq!(options.ports, read("--port-base=4000").unwrap().ports);
        assert_eq!(read("").unwrap().ports, Ports::USUAL);
        assert!(read("--port-base").is_err() && read("--port-base 70000").is_err() && read("--what").is_err());
    }
}
