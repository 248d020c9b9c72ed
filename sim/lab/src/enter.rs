//! Namespaces without names: `pause` makes and holds one, `enter` runs a command in one.
//!
//! Both are the bodies of hidden subcommands, so that a lab needs no helper program and no `unsafe`: a process that
//! unshares or joins a namespace is always a fresh, single-threaded one. With `die_with_parent` the kernel kills the
//! process when the one that started it ends, however that ends.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Lets the kernel kill this process when `parent` ends.
///
/// # Errors
/// `parent` has ended already.
pub fn die_with_parent(parent: u32) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("cannot tie this process to its parent")?;
    if parent_id() != parent {
        bail!("the process that started this one has ended");
    }
    Ok(())
}

/// Makes a network namespace, applies `sysctls` (`net/ipv6/conf/all/disable_ipv6=1`) in it, prints `ready` and holds
/// the namespace until standard input ends.
///
/// # Errors
/// The namespace cannot be made. A sysctl that cannot be written is only reported.
pub fn pause(sysctls: &[String]) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("cannot make a network namespace")?;
    for setting in sysctls {
        let Some((key, value)) = setting.split_once('=') else {
            bail!("`{setting}` is not of the form KEY=VALUE");
        };
        if let Err(error) = fs::write(format!("/proc/sys/{key}"), value) {
            eprintln!("sysctl {key} stays as it is: {error}");
        }
    }
    println!("ready");
    io::stdout().flush()?;
    io::copy(&mut io::stdin().lock().take(u64::MAX), &mut io::sink())?;
    Ok(())
}

/// Joins the user and network namespaces of process `holder`, then becomes `command` with `environment` set besides its own.
///
/// # Errors
/// The namespaces cannot be joined or the command cannot be run; does not return otherwise.
pub fn enter(
    holder: u32,
    command: &[OsString],
    environment: &[(&str, OsString)],
) -> Result<Infallible> {
    join(holder)?;
    let Some((program, arguments)) = command.split_first() else {
        bail!("no command given");
    };
    let environment = environment.iter().map(|(key, value)| (key, value));
    let error = Command::new(program).args(arguments).envs(environment).exec();
    Err(error).with_context(|| format!("cannot run `{}`", program.display()))
}

fn join(holder: u32) -> Result<()> {
    let link = |process: &str| fs::read_link(format!("/proc/{process}/ns/user"));
    let theirs = link(&holder.to_string())
        .with_context(|| format!("the namespace's holder {holder} is gone"))?;
    let network = File::open(format!("/proc/{holder}/ns/net"))
        .context("cannot open the network namespace")?;
    if theirs != link("self").context("cannot read this process's namespaces")? {
        let user = File::open(format!("/proc/{holder}/ns/user"))
            .context("cannot open the user namespace")?;
        setns(user, CloneFlags::CLONE_NEWUSER).context("cannot join the lab's user namespace")?;
    }
    setns(network, CloneFlags::CLONE_NEWNET).context("cannot join the network namespace")
}

/// Becomes root in a user namespace of its own, if this process is not root already.
///
/// # Errors
/// The machine does not let this user make user namespaces.
pub fn become_root() -> Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if uid.is_root() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET).context(
        "cannot make a user namespace: run as root, or allow it (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0)",
    )?;
    fs::write("/proc/self/setgroups", "deny").context("cannot write /proc/self/setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))
        .context("cannot write /proc/self/uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1")).context("cannot write /proc/self/gid_map")
}
