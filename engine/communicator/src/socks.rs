//! The client side of a SOCKS5 proxy (RFC 1928, with RFC 1929 for user and password). The proxy resolves the name.

use std::io;

use fornax_core::communicator::{Dialer, ProxyOptions, Stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;

/// A stream to `host:port` through the proxy. The caller bounds the time.
pub(crate) async fn dial(
    dialer: &dyn Dialer,
    proxy: &ProxyOptions,
    host: &str,
    port: u16,
) -> io::Result<Box<dyn Stream>> {
    let mut stream = dialer.dial(&proxy.host, proxy.port).await?;
    negotiate(&mut stream, proxy, host, port).await.map_err(|error| {
        io::Error::new(error.kind(), format!("the proxy {}:{}: {error}", proxy.host, proxy.port))
    })?;
    Ok(stream)
}

async fn negotiate(
    stream: &mut Box<dyn Stream>,
    proxy: &ProxyOptions,
    host: &str,
    port: u16,
) -> io::Result<()> {
    let method = if proxy.username.is_some() { USER_AND_PASSWORD } else { NO_LOGIN };
    stream.write_all(&[VERSION, 1, method]).await?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await?;
    if chosen[0] != VERSION {
        return Err(io::Error::other("it does not speak SOCKS5"));
    }
    if chosen[1] != method {
        return Err(io::Error::other(if method == NO_LOGIN {
            "it wants a login; give ssh_proxy_username and ssh_proxy_password"
        } else {
            "it does not take a user name and password"
        }));
    }
    if let Some(user) = &proxy.username {
        let password = proxy.password.as_ref().map_or("", |p| p.expose());
        let mut request = vec![1];
        for text in [user.as_str(), password] {
            request.push(length(text)?);
            request.extend_from_slice(text.as_bytes());
        }
        stream.write_all(&request).await?;
        let mut answer = [0; 2];
        stream.read_exact(&mut answer).await?;
        if answer[1] != 0 {
            return Err(io::Error::other("it refused the user name or the password"));
        }
    }
    let mut request = vec![VERSION, 1, 0];
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => {
            request.push(1);
            request.extend_from_slice(&ip.octets());
        }
        Ok(std::net::IpAddr::V6(ip)) => {
            request.push(4);
            request.extend_from_slice(&ip.octets());
        }
        Err(_) => {
            request.extend_from_slice(&[3, length(host)?]);
            request.extend_from_slice(host.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    if head[1] != 0 {
        let (kind, reason) = match head[1] {
            2 => (io::ErrorKind::PermissionDenied, "its rules forbid the connection"),
            3 => (io::ErrorKind::NetworkUnreachable, "network unreachable"),
            4 => (io::ErrorKind::HostUnreachable, "host unreachable"),
            5 => (io::ErrorKind::ConnectionRefused, "connection refused"),
            6 => (io::ErrorKind::TimedOut, "time to live exceeded"),
            _ => (io::ErrorKind::Other, "it failed"),
        };
        return Err(io::Error::new(kind, reason));
    }
    let address = match head[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(io::Error::other("it answered with an unknown kind of address")),
    };
    stream.read_exact(&mut vec![0; address + 2]).await?;
    Ok(())
}

fn length(text: &str) -> io::Result<u8> {
    u8::try_from(text.len())
        .map_err(|_| io::Error::other("host, user and password may have 255 bytes at most"))
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use fornax_core::Secret;
    use std::sync::Mutex;

    use super::*;

    struct Once(Mutex<Option<Box<dyn Stream>>>);

    #[async_trait]
    impl Dialer for Once {
        async fn dial(&self, _host: &str, _port: u16) -> io::Result<Box<dyn Stream>> {
            Ok(self.0.lock().unwrap().take().unwrap())
        }
    }

    async fn against(script: Vec<(Vec<u8>, Vec<u8>)>, user: Option<&str>, host: &str) -> io::Result<()> {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        let server = tokio::spawn(async move {
            for (expected, answer) in script {
                let mut seen = vec![0; expected.len()];
                theirs.read_exact(&mut seen).await.unwrap();
                assert_eq!(seen, expected);
                theirs.write_all(&answer).await.unwrap();
            }
            theirs
        });
        let proxy = ProxyOptions {
            host: "proxy".into(),
            port: 1080,
            username: user.map(str::to_owned),
            password: Some(Secret::new("pw")),
        };
        let result = dial(&Once(Mutex::new(Some(Box::new(ours)))), &proxy, host, 22).await.map(|_| ());
        server.await.unwrap();
        result
    }

    #[tokio::test]
    async fn the_proxy_is_asked_as_the_standard_says() {
        let named = [&[5, 1, 0, 3, 4][..], b"host", &[0, 22]].concat();
        let ok = vec![5, 0, 0, 1, 127, 0, 0, 1, 0, 9];
        against(vec![(vec![5, 1, 0], vec![5, 0]), (named, ok.clone())], None, "host").await.unwrap();
        let login = [&[1, 1][..], b"u", &[2], b"pw"].concat();
        let numeric = vec![5, 1, 0, 1, 10, 0, 0, 1, 0, 22];
        against(
            vec![(vec![5, 1, 2], vec![5, 2]), (login, vec![1, 0]), (numeric.clone(), ok)],
            Some("u"),
            "10.0.0.1",
        )
        .await
        .unwrap();
        let refused = vec![(vec![5, 1, 0], vec![5, 0]), (numeric, vec![5, 5, 0, 1, 0, 0, 0, 0, 0, 0])];
        let error = against(refused, None, "10.0.0.1").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = against(vec![(vec![5, 1, 0], vec![5, 255])], None, "h").await.unwrap_err();
        assert!(error.to_string().contains("ssh_proxy_username"), "{error}");
    }
}
