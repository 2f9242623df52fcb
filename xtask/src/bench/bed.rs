//! The test bed: cores, files, certificates, the origin, and the subjects in front of it.

use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::machine::{Cores, raise_files};
use super::options::Options;
use super::process::{Server, free_port};
use crate::Result;
use crate::command::{cargo, find, output, root, run};

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    Gateward,
    Nginx,
    Haproxy,
    Relay,
}

impl Subject {
    pub const ALL: [Self; 4] = [Self::Gateward, Self::Nginx, Self::Haproxy, Self::Relay];

    pub fn parse(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|subject| subject.to_string() == name);
        found.ok_or_else(|| format!("no subject `{name}`: gateward, nginx, haproxy or relay"))
    }

    /// The file a subject's configuration is written to; Gateward tells the format by its ending.
    pub fn file(self, port: u16) -> String {
        let ending = if self == Self::Gateward { "yaml" } else { "conf" };
        format!("{port}-{self}.{ending}")
    }

    fn configuration(self) -> Option<&'static str> {
        match self {
            Self::Gateward => Some("gateward.yaml"),
            Self::Nginx => Some("nginx.conf"),
            Self::Haproxy => Some("haproxy.cfg"),
            Self::Relay => None,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateward => "gateward",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Relay => "relay",
        })
    }
}

/// The key that callers of the `chain` scenario show.
pub const KEY: &str = "bench-key-4711";
/// `printf %s bench-key-4711 | sha256sum`.
const KEY_SHA256: &str = "43f2877104d41fac8f3c88eb7393bf0f784a99ce766e33bc6933a9c317041fb8";

pub struct Bed {
    pub options: Options,
    pub cores: Cores,
    /// A folder for what this run makes; removed at its end.
    pub folder: PathBuf,
    /// How many files a process may have open.
    pub files: u64,
    gateward: PathBuf,
    relay: PathBuf,
}

/// A server that listens.
pub struct Running {
    pub server: Server,
    pub address: SocketAddr,
}

impl Bed {
    /// Builds what is measured, makes certificates and files.
    pub fn make(options: Options) -> Result<Self> {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), Into::into);
        let release = target.join("release");
        let mut build = cargo();
        build.args(["build", "--quiet", "--release", "--package", "gateward-bench-relay"]);
        if options.binary.is_none() && options.subjects.contains(&Subject::Gateward) {
            build.args(["--package", "gateward"]);
        }
        println!("bench: building");
        run(&mut build)?;
        let folder = target.join(format!("bench-{}", std::process::id()));
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        let bed = Self {
            gateward: options.binary.clone().unwrap_or_else(|| release.join("gateward")),
            relay: release.join("gateward-bench-relay"),
            cores: Cores::split()?,
            files: raise_files(65_536),
            options,
            folder,
        };
        bed.certificate()?;
        Ok(bed)
    }

    /// A self-signed certificate for 127.0.0.1 and its key, apart and in one file.
    fn certificate(&self) -> Result {
        let (cert, key) = (self.folder.join("cert.pem"), self.folder.join("key.pem"));
        output(
            Command::new("openssl")
                .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-nodes", "-days", "30", "-subj", "/CN=bench.example"])
                .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:bench.example"])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .arg("-keyout")
                .arg(&key)
                .arg("-out")
                .arg(&cert),
        )?;
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| error.to_string());
        self.write("both.pem", &format!("{}{}", read(&cert)?, read(&key)?))?;
        Ok(())
    }

    /// A file in the run's folder.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Who of these takes part.
    pub fn subjects(&self, of: &[Subject]) -> Vec<Subject> {
        of.iter().copied().filter(|subject| self.options.subjects.contains(subject)).collect()
    }

    /// The origin behind every proxy.
    pub fn origin(&self) -> Result<Running> {
        let port = free_port()?;
        let text = self.filled("origin.nginx.conf", port, port, port)?;
        let path = self.write("origin.nginx.conf", &text)?;
        let command = configured(&program("nginx")?, "-c", &path);
        self.listening("origin", command, &self.cores.others, port)
    }

    /// A subject in front of the origin, configured by its file in `bench/peers/KIND/`.
    pub fn start(&self, subject: Subject, kind: &str, origin: SocketAddr) -> Result<Running> {
        let Some(configuration) = subject.configuration() else { return self.relay(origin) };
        let (port, admin) = (free_port()?, free_port()?);
        let template = format!("{kind}/{configuration}");
        let text = self.filled(&template, port, admin, origin.port())?;
        self.start_with(subject, &text, port)
    }

    /// A subject with this configuration.
    pub fn start_with(&self, subject: Subject, configuration: &str, port: u16) -> Result<Running> {
        let path = self.write(&subject.file(port), configuration)?;
        let command = match subject {
            Subject::Gateward => self.gateward(&path)?,
            Subject::Nginx => configured(&program("nginx")?, "-c", &path),
            Subject::Haproxy => configured(&program("haproxy")?, "-f", &path),
            Subject::Relay => return Err("the relay has no configuration".into()),
        };
        self.listening(&subject.to_string(), command, &self.cores.proxy, port)
    }

    /// `gateward run` with a document.
    fn gateward(&self, document: &Path) -> Result<Command> {
        if !self.gateward.is_file() {
            return Err(format!("there is no gateward at {}", self.gateward.display()));
        }
        let mut command = Command::new(&self.gateward);
        command.args(["run", "--workers", "1", "--config"]).arg(document);
        Ok(command)
    }

    /// `gateward check` of a document.
    pub fn check(&self, document: &Path) -> Command {
        let mut command = Command::new(&self.gateward);
        command.arg("check").arg(document);
        command
    }

    fn relay(&self, origin: SocketAddr) -> Result<Running> {
        let port = free_port()?;
        let mut command = Command::new(&self.relay);
        command.args([format!("127.0.0.1:{port}"), origin.to_string()]);
        self.listening("relay", command, &self.cores.proxy, port)
    }

    fn listening(
        &self,
        name: &str,
        command: Command,
        cores: &[usize],
        port: u16,
    ) -> Result<Running> {
        let log = self.folder.join(format!("{port}-{name}.log"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut server = Server::start(name, command, cores, &log)?;
        server.listens(address, &log)?;
        Ok(Running { server, address })
    }

    fn filled(&self, template: &str, port: u16, admin: u16, origin: u16) -> Result<String> {
        let folder = self.folder.display().to_string();
        filled(template, [port, admin, origin], self.files, &folder)
    }
}

/// A file of `bench/peers/` with the words between `@` filled in. The ports are the listener's, the
/// admin listener's and the origin's.
fn filled(template: &str, ports: [u16; 3], files: u64, folder: &str) -> Result<String> {
    let path = root().join("bench/peers").join(template);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let [port, admin, origin] = ports.map(|port| port.to_string());
    Ok(text
        .replace("@PORT@", &port)
        .replace("@ADMIN@", &admin)
        .replace("@ORIGIN@", &origin)
        .replace("@CONNECTIONS@", &(files / 2 - 100).to_string())
        .replace("@FILES@", &files.to_string())
        .replace("@KEY@", KEY)
        .replace("@KEY_SHA256@", KEY_SHA256)
        .replace("@DIR@", folder))
}

impl Drop for Bed {
    fn drop(&mut self) {
        // What is left behind is under target/.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn program(name: &str) -> Result<PathBuf> {
    find(name).ok_or_else(|| format!("{name} is not installed"))
}

fn configured(program: &Path, flag: &str, configuration: &Path) -> Command {
    let mut command = Command::new(program);
    command.arg(flag).arg(configuration);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_under_measurement_are_valid() {
        let schema = config::Schema::with_policies(policies::schemas());
        for kind in ["plain", "chain", "tls", "body"] {
            let name = format!("{kind}/gateward.yaml");
            let text = filled(&name, [8080, 8090, 9000], 20_000, "folder").unwrap();
            let read = config::read_text(&name, &text, &schema, &config::Machine);
            read.map_err(|report| report.to_string()).unwrap();
        }
    }
}
