//! Stopping a command. Closing its channel is not enough: without a terminal the process lives on.
//!
//! First the protocol's signal, which OpenSSH delivers for ordinary users but not for root. Then, where the command is
//! the only one on the connection, a helper on a second channel that finds the other children of the connection's
//! server process and ends their sessions (Linux). With a terminal the close hangs up, which ends the command.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use russh::Sig;

use crate::exec::{self, Writer};
use crate::output::Output;
use crate::session::Session;
use crate::shell;

/// All of it together; a machine that does not answer must not hold up the end of a build.
const LIMIT: Duration = Duration::from_secs(8);

/// Walks up to the child of sshd that it is itself, then ends the sessions of all other children. Field 4 of a
/// process's `stat` is its parent, field 5 its process group, field 6 its session; the name in field 2 may contain blanks
/// and brackets. Whole groups are signalled: one process after the other, a shell could see its child end and go on to
/// the next line of its script, even to a successful end. It is always a shell that signals: the program `kill` of some
/// procps versions takes only the first digit of a group's number.
const HELPER: &str = r#"
up=$$
while :; do
  read -r s </proc/$up/stat || exit 0
  set -- ${s##*) }; server=$2
  read -r name </proc/$server/comm || exit 0
  case $name in sshd*) break ;; esac
  [ "$server" -gt 1 ] || exit 0
  up=$server
done
victims() {
  for d in /proc/[0-9]*; do
    read -r s <$d/stat || continue
    set -- ${s##*) }
    [ "$2" = "$server" ] && [ "${d#/proc/}" != "$up" ] && printf ' %s ' "${d#/proc/}"
  done
}
sessions=$(victims)
groups() {
  list=
  for d in /proc/[0-9]*; do
    read -r s <$d/stat || continue
    set -- ${s##*) }
    [ "$1" = Z ] && continue
    case $sessions in *" $4 "*) ;; *) continue ;; esac
    case "$list " in *" -$3 "*) ;; *) list="$list -$3" ;; esac
  done
  printf '%s' "$list"
}
end() {
  list=$(groups)
  [ -n "$list" ] || return 1
  kill -"$1" $list || sudo -n sh -c "kill -$1 $list"
  return 0
}
if [ -n "$sessions" ]; then
  end TERM
  for i in 1 2 3 4 5 6 7 8 9 10; do
    [ -n "$(groups)" ] || break
    sleep 0.1 || sleep 1
  done
  end KILL
fi
"#;

/// Ends the command whose channel this is, as far as possible, then closes the channel and removes the file.
pub(crate) async fn stop(
    session: &Arc<Session>,
    writer: &Writer,
    output: &Output,
    pty: bool,
    remove: Option<&str>,
) {
    let stopping = async {
        if pty {
            // Hanging up ends what has this terminal.
            writer.close().await;
        } else {
            writer.signal(Sig::TERM).await;
        }
        let alone = session.commands.load(Ordering::Relaxed) <= 1;
        let mut script = String::from("exec 2>/dev/null\n");
        if !pty && alone && !output.has_ended() {
            script.push_str(HELPER);
        }
        if let Some(path) = remove {
            script.push_str(&format!("rm -f {}\n", shell::path(path)));
        }
        if script.lines().count() > 1 {
            let _ = exec::run(session, shell::posix(&script)).await;
        }
        if !pty {
            writer.signal(Sig::KILL).await;
        }
    };
    let _ = tokio::time::timeout(LIMIT, stopping).await;
    let _ = tokio::time::timeout(Duration::from_secs(1), writer.close()).await;
}
