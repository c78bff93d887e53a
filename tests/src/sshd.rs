//! An OpenSSH server on loopback for tests that need a machine with a real shell, as the user who runs the tests. It
//! ends when it is dropped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::skipped;

const SSHD: &str = "/usr/sbin/sshd";

pub struct Sshd {
    child: Child,
    pub port: u16,
    pub user: String,
    /// The private key that may log in.
    pub key: PathBuf,
}

impl Sshd {
    /// Starts it with its files below `dir`; none, and a word about it, where there is no sshd.
    pub fn start(test: &str, dir: &Path) -> Option<Self> {
        if !Path::new(SSHD).exists() {
            skipped(test, "/usr/sbin/sshd is missing (package openssh-server)");
            return None;
        }
        let dir = dir.join("sshd");
        std::fs::create_dir(&dir).expect("the folder is new");
        for name in ["host", "user"] {
            let status = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(dir.join(name))
                .status();
            assert!(status.expect("ssh-keygen comes with sshd").success());
        }
        // The server of root separates privileges there; others have no need of it.
        let _ = std::fs::create_dir_all("/run/sshd");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let shown = dir.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host\nAuthorizedKeysFile {shown}/user.pub\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        );
        let file = dir.join("config");
        std::fs::write(&file, config).expect("the temporary folder is writable");
        let child = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(&file)
            .stderr(Stdio::null())
            .spawn()
            .expect("sshd is there");
        let user = Command::new("id").arg("-un").output().expect("id is everywhere").stdout;
        let user = String::from_utf8_lossy(&user).trim().to_owned();
        Some(Self { child, port, user, key: dir.join("user") })
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
