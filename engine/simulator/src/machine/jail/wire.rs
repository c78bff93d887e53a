//! What the simulator and its helper processes say to each other.
//!
//! A helper's standard input is one end of a socket pair that keeps message boundaries and carries descriptors; its
//! standard output carries [`Event`]s, a JSON line each; its standard error is log text. The socket is also the life
//! line: only the simulator holds the other end, so when the simulator dies in whatever way, the helper reads the end
//! of it and takes everything down.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

/// The longest message: custom data (64 KiB, in base64) and keys fit in.
const MESSAGE: usize = 160 * 1024;

/// What a helper is started for. Descriptors come with the message where noted.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Proves that a jail can be made here, in a scratch folder that is empty and owned by the jail's root.
    Probe { scratch: PathBuf },
    /// Starts a machine: [`Setup`] follows as a message of its own, for the machine's first process.
    Boot { disk: Disk, own_network: bool },
    /// Unpacks a tar stream (descriptor 0) into an empty folder.
    Unpack { into: PathBuf },
    /// Packs a folder as a compressed tar stream (descriptor 0); overlay marks become those of image layers.
    Pack { from: PathBuf },
    /// Removes what is in a folder.
    Empty { folder: PathBuf },
    /// Runs a program of the host, its output in descriptor 0, and ends all that it started.
    Tool { program: String, arguments: Vec<String>, environment: Vec<(String, String)> },
}

/// The disk of a machine.
#[derive(Debug, Serialize, Deserialize)]
pub struct Disk {
    /// Uppermost first.
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
}

/// What the first process of a machine sees to before it accepts connections.
#[derive(Serialize, Deserialize)]
pub struct Setup {
    pub own_network: bool,
    pub hostname: String,
    /// The host's, for name resolution from inside; none where nobody could be asked.
    pub resolv_conf: Option<String>,
    /// Set at the first boot.
    pub user: Option<UserSetup>,
    pub password_login: bool,
}

#[derive(Serialize, Deserialize)]
pub struct UserSetup {
    pub name: String,
    pub password: Option<String>,
    pub authorized_keys: Vec<String>,
    /// Base64.
    pub custom_data: Option<String>,
}

/// What a helper reports.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It has its user namespace and waits for the id map.
    Map,
    /// The machine accepts connections.
    Ready,
    /// A thing that could not be had, which does not stop the machine.
    Note(String),
    /// The order is done.
    Done,
    /// The order failed.
    Failed(String),
    /// Every process of the machine has ended: by a reboot from inside, or otherwise.
    Ended { reboot: bool },
}

/// Reports an event on the standard output. Nobody listens any more when it fails, and the life line says so better.
pub fn report(event: &Event) {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    let _ = io::stdout().write_all(&line);
}

/// Both ends of a control socket; neither is inherited unless it is made a standard stream.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message with at most one descriptor. It never waits: the few messages fit the socket's buffer.
pub fn send(socket: BorrowedFd<'_>, message: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    if message.len() > MESSAGE {
        return Err(io::Error::other(format!("{} bytes of settings are too many", message.len())));
    }
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
    rustix::net::sendmsg(socket, &[IoSlice::new(message)], &mut control, flags)?;
    Ok(())
}

/// Waits for a message; none when the other end is gone.
pub fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(Vec<u8>, Option<OwnedFd>)>> {
    let mut message = vec![0; MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC;
    let count = loop {
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut message)], &mut control, flags) {
            Ok(received) => break received.bytes,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    };
    if count == 0 {
        return Ok(None);
    }
    let descriptor = control
        .drain()
        .find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => Some(descriptors.next()),
            _ => None,
        })
        .flatten();
    message.truncate(count);
    Ok(Some((message, descriptor)))
}

/// [`receive`] of a JSON message on the standard input; an end of the life line is an error here.
pub fn expect<T: for<'a> Deserialize<'a>>() -> io::Result<(T, Option<OwnedFd>)> {
    let (message, descriptor) = receive(io::stdin().as_fd())?.ok_or(io::ErrorKind::UnexpectedEof)?;
    Ok((serde_json::from_slice(&message)?, descriptor))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    #[test]
    fn a_descriptor_travels_with_its_message() {
        let (ours, theirs) = pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(ours.as_fd(), b"first", Some(writer.as_fd())).unwrap();
        send(ours.as_fd(), &vec![b'x'; 100_000], None).unwrap();
        drop((ours, writer));
        let (message, descriptor) = receive(theirs.as_fd()).unwrap().unwrap();
        assert_eq!(message, b"first");
        File::from(descriptor.unwrap()).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        assert_eq!(receive(theirs.as_fd()).unwrap().unwrap().0.len(), 100_000);
        assert!(receive(theirs.as_fd()).unwrap().is_none());
    }

    #[test]
    fn an_overlong_message_is_refused() {
        let (ours, _theirs) = pair().unwrap();
        assert!(send(ours.as_fd(), &vec![0; MESSAGE + 1], None).is_err());
    }
}
