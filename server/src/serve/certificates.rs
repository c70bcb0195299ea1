//! The TLS listener's certificate files: read at the start, when they change, and at SIGHUP. What cannot be used is told,
//! by the log and by the metric of failed tasks, and what was shown before stays.

use super::signals::HangUp;
use crate::{
    cli::CommandError,
    config::gateway::Tls,
    tasks::{Nudge, TaskError, Tasks},
};
use gateway::Certificates;
use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

const NAME: &str = "reload_certificates";
const PERIOD: Duration = Duration::from_secs(10);

/// Certificate chains and keys as the files hold them.
type Contents = Vec<(Vec<u8>, Vec<u8>)>;

/// The files, and what is shown of them.
pub struct Files {
    tls: Tls,
    shown: Mutex<Contents>,
    certificates: Arc<Certificates>,
}

impl Files {
    /// # Errors
    /// A file cannot be read, or its certificate cannot be shown.
    pub fn open(tls: Tls) -> Result<Self, CommandError> {
        let contents = read(&tls)?;
        let certificates = Arc::new(Certificates::new(&contents)?);
        Ok(Self { tls, shown: Mutex::new(contents), certificates })
    }

    /// What the gateway is told.
    pub fn listener(&self) -> gateway::Tls {
        gateway::Tls { listen: self.tls.listen, certificates: self.certificates.clone() }
    }

    /// Shows what the files hold now, if it is something else: whether it was.
    fn reload(&self) -> Result<bool, TaskError> {
        let contents = read(&self.tls)?;
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown == contents {
            return Ok(false);
        }
        self.certificates.replace(&contents)?;
        *shown = contents;
        Ok(true)
    }
}

/// Looks at the files regularly and at SIGHUP, until the end.
///
/// # Errors
/// The signal cannot be listened for.
pub fn watch(files: Files, tasks: &mut Tasks) -> std::io::Result<HangUp> {
    let (files, nudge) = (Arc::new(files), Nudge::default());
    let mut hang_up = signal(SignalKind::hangup())?;
    let told = nudge.clone();
    tokio::spawn(async move {
        while hang_up.recv().await.is_some() {
            told.nudge();
        }
    });
    tasks.every(NAME, PERIOD, nudge, move || {
        let files = files.clone();
        async move {
            if tokio::task::spawn_blocking(move || files.reload()).await?? {
                metrics::counter!("turnpike_gateway_certificate_reloads_total").increment(1);
                tracing::info!("the gateway shows new certificates");
            }
            Ok(())
        }
    });
    Ok(HangUp::Reloads)
}

fn read(tls: &Tls) -> Result<Contents, String> {
    let read = |path: &Path| fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()));
    tls.files.iter().map(|(chain, key)| Ok((read(chain)?, read(key)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    #[test]
    fn files_that_change_are_shown_and_bad_ones_leave_what_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        let write = || {
            let CertifiedKey { cert, signing_key } =
                generate_simple_self_signed(["api.example".to_owned()]).expect("a certificate");
            fs::write(&chain, cert.pem()).expect("written");
            fs::write(&key, signing_key.serialize_pem()).expect("written");
        };
        let tls = Tls { listen: ([127, 0, 0, 1], 0).into(), files: vec![(chain.clone(), key.clone())] };
        assert!(Files::open(tls.clone()).is_err(), "there is nothing yet");
        write();
        let files = Files::open(tls).expect("certificates");
        assert!(!files.reload().expect("the same"));
        fs::write(&chain, "nonsense").expect("written");
        assert!(files.reload().is_err());
        fs::remove_file(&chain).expect("removed");
        let problem = files.reload().expect_err("no file").to_string();
        assert!(problem.contains("chain.pem"), "{problem}");
        write();
        assert!(files.reload().expect("new ones"));
        assert!(!files.reload().expect("the same"));
    }
}
