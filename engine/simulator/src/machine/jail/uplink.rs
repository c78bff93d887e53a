//! A way out for a machine with a network namespace of its own: `pasta`, which carries packets to ordinary sockets.
//!
//! It needs no privilege but a tun device, changes nothing on the host and forwards nothing to the machine. The host's
//! loopback stays out of reach.

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::helper::{Helper, Running};
use super::ids::{IdMap, find_program};
use super::wire::Order;
use crate::machine::MachineError;

const READY: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(5);

/// A running uplink.
pub struct Uplink(Box<Running>);

impl Uplink {
    /// The program, where it is installed and can do its work: a name server on the host's loopback would be out of
    /// reach.
    pub fn find(resolv_conf: &str) -> Option<PathBuf> {
        if has_reachable_server(resolv_conf) { find_program("pasta") } else { None }
    }

    /// Connects the network namespace of a process and waits until it has a route.
    pub async fn start(helper: &Helper, program: &Path, pid: u32) -> Result<Self, MachineError> {
        let failed = |text: String| MachineError::Failed(format!("{}: {text}", program.display()));
        let mut arguments: Vec<String> =
            ["-f", "-e", "-q", "--config-net", "--no-map-gw"].map(str::to_owned).into();
        // Nothing of the machine is to be reached from the host, nor the other way round.
        arguments.extend(["-t", "none", "-u", "none", "-T", "none", "-U", "none"].map(str::to_owned));
        if let IdMap::Shifted { .. } = helper.ids {
            arguments.extend(["--runas".to_owned(), "0".to_owned()]);
        }
        arguments.push(pid.to_string());
        let environment = vec![("PATH".to_owned(), super::init::PATH.to_owned())];
        let order = Order::Tool { program: program.display().to_string(), arguments, environment };
        let nowhere =
            File::options().write(true).open("/dev/null").map_err(|error| failed(error.to_string()))?;
        let mut running =
            helper.order(&order, Some(nowhere), None).map_err(|error| failed(error.to_string()))?;
        let routes = format!("/proc/{pid}/net/route");
        let wait = async {
            loop {
                if std::fs::read_to_string(&routes).is_ok_and(|text| has_default_route(&text)) {
                    return Ok(());
                }
                if let Some(text) = running.failure() {
                    return Err(failed(text));
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        let result = tokio::time::timeout(READY, wait).await;
        match result.unwrap_or_else(|_| Err(failed(format!("no route after {} s", READY.as_secs())))) {
            Ok(()) => Ok(Self(Box::new(running))),
            Err(error) => {
                running.end().await;
                Err(error)
            }
        }
    }

    pub async fn end(self) {
        Box::pin(self.0.end()).await;
    }
}

fn has_reachable_server(resolv_conf: &str) -> bool {
    resolv_conf
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|rest| rest.trim().parse::<IpAddr>().ok())
        .any(|address| !address.is_loopback())
}

/// Whether a table as in `/proc/net/route` has a route to everywhere.
fn has_default_route(table: &str) -> bool {
    table.lines().skip(1).any(|line| line.split_whitespace().nth(1) == Some("00000000"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_on_loopback_do_not_count() {
        assert!(has_reachable_server("search x\nnameserver 127.0.0.53\nnameserver 10.0.0.1\n"));
        assert!(!has_reachable_server("nameserver 127.0.0.53\nnameserver ::1\n"));
        assert!(!has_reachable_server(""));
    }

    #[test]
    fn a_route_to_everywhere_is_recognised() {
        let head = "Iface\tDestination\tGateway\n";
        assert!(!has_default_route(&format!("{head}eth0\t000200C0\t00000000\n")));
        assert!(has_default_route(&format!("{head}eth0\t00000000\t010200C0\n")));
    }
}
