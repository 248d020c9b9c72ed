//! The card as a vfio-user PCI function: one owner at a time, from the program's only thread.
//!
//! A connection becomes the owner with its version message; while there is one, others are told EBUSY and closed. When the
//! owner leaves, its memory, interrupts and rings are forgotten; the data path goes on, and the next owner finds the tables as
//! they were. Region accesses never fail towards the client, because clients hang or give the device up on an error reply:
//! what cannot be read is all ones, what cannot be written is dropped, and both are counted.

mod connection;
mod function;
mod requests;

use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use penstock_device::vfio_user::wire::{self, command};
use zerocopy::{FromBytes, IntoBytes};

use crate::card::CardSim;
use crate::config::Identity;
use connection::{Connection, Message};
use function::Function;

pub use function::Removal;

/// Connections that have not said anything yet, at most.
const GUESTS_MAX: usize = 4;

/// The listening socket, its connections, and the function.
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    owner: Option<Connection>,
    guests: Vec<Connection>,
    function: Function,
}

impl Server {
    /// Listens at `path`. A socket that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The operating system's; `AddrInUse` when another card listens there.
    pub fn bind(path: &Path) -> io::Result<Self> {
        Self::bind_as(path, Identity::default())
    }

    /// As [`Server::bind`], as another function than a card's: for tests of what a driver makes of it.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub fn bind_as(path: &Path, identity: Identity) -> io::Result<Self> {
        if path.exists() {
            match UnixStream::connect(path) {
                Ok(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "another card listens there",
                    ));
                }
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
                Err(e) => return Err(e),
            }
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            owner: None,
            guests: Vec::new(),
            function: Function::new(identity),
        })
    }

    /// The means to take the function off the bus.
    #[must_use]
    pub fn removal(&self) -> Removal {
        self.function.removal()
    }

    /// Descriptors to wait on.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connections = self.owner.iter().chain(&self.guests);
        std::iter::once(self.listener.as_fd()).chain(connections.map(Connection::fd))
    }

    /// Whether the function has an owner.
    #[must_use]
    pub fn has_owner(&self) -> bool {
        self.owner.is_some()
    }

    /// Region accesses that could not be done.
    #[must_use]
    pub fn refused_accesses(&self) -> u64 {
        self.function.refused_accesses
    }

    /// Accepts connections and executes what has arrived. Never blocks but for a reply that a client does not read.
    pub fn serve(&mut self, card: &mut CardSim) {
        if self.function.is_removed() {
            card.set_bus_master(false);
        }
        self.accept();
        // The owner first: one that has left must not be in the way of a guest that came after.
        self.serve_owner(card);
        for mut guest in std::mem::take(&mut self.guests) {
            match guest.receive() {
                Ok(Some(message)) => self.introduce(guest, &message),
                Ok(None) => self.guests.push(guest),
                Err(error) => tracing::debug!(%error, "connection closed before it said anything"),
            }
        }
        self.serve_owner(card);
    }

    fn serve_owner(&mut self, card: &mut CardSim) {
        while let Some(mut owner) = self.owner.take() {
            match owner.receive() {
                Ok(Some(message)) => match self.execute(&mut owner, message, card) {
                    Ok(()) => self.owner = Some(owner),
                    Err(error) => self.owner_left(card, &error),
                },
                Ok(None) => {
                    self.owner = Some(owner);
                    return;
                }
                Err(error) => self.owner_left(card, &error),
            }
        }
    }

    fn accept(&mut self) {
        while self.guests.len() < GUESTS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => match Connection::new(stream) {
                    Ok(guest) => self.guests.push(guest),
                    Err(error) => tracing::warn!(%error, "cannot take a connection"),
                },
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    return;
                }
            }
        }
    }

    /// First message of a connection.
    fn introduce(&mut self, mut guest: Connection, message: &Message) {
        let version = wire::Version::read_from_prefix(&message.body).map(|(v, _)| v);
        let outcome = match version {
            Ok(version)
                if message.header.command == command::VERSION
                    && version.major == wire::VERSION_MAJOR =>
            {
                if self.owner.is_some() {
                    tracing::warn!("refused a second owner");
                    guest.reply_error(&message.header, Errno::EBUSY)
                } else {
                    let minor = version.minor.min(wire::VERSION_MINOR);
                    let reply = wire::Version { major: wire::VERSION_MAJOR, minor };
                    let capabilities = serde_json::json!({ "capabilities": {
                        "max_msg_fds": wire::FDS_MAX, "max_data_xfer_size": wire::DATA_MAX_BYTES
                    }});
                    let mut body = reply.as_bytes().to_vec();
                    body.extend_from_slice(capabilities.to_string().as_bytes());
                    body.push(0);
                    guest.reply(&message.header, &body).map(|()| {
                        tracing::info!("a host has attached");
                        self.owner = Some(guest);
                    })
                }
            }
            _ => guest.reply_error(&message.header, Errno::EPROTO),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "cannot answer a version message");
        }
    }

    fn owner_left(&mut self, card: &mut CardSim, error: &io::Error) {
        tracing::info!(reason = %error, "the host has left; the data path goes on");
        card.host_left();
        self.function.forget_configuration(card);
    }

    fn execute(
        &mut self,
        owner: &mut Connection,
        mut message: Message,
        card: &mut CardSim,
    ) -> io::Result<()> {
        let header = message.header;
        let fds = std::mem::take(&mut message.fds);
        let body = message.body.as_slice();
        let result = match header.command {
            command::DMA_MAP => requests::dma_map(body, fds, card),
            command::DMA_UNMAP => requests::dma_unmap(body, card),
            command::DEVICE_GET_INFO => requests::device_info(body),
            command::DEVICE_GET_REGION_INFO => requests::region_info(body, &self.function.identity),
            command::DEVICE_GET_IRQ_INFO => requests::irq_info(body, &self.function.identity),
            command::DEVICE_SET_IRQS => {
                requests::set_irqs(body, fds, card, &self.function.identity)
            }
            command::REGION_READ => self.function.read(body, card),
            command::REGION_WRITE => self.function.write(body, card),
            command::DEVICE_RESET => {
                self.function.reset(card);
                Ok(Vec::new())
            }
            _ => Err(Errno::ENOTSUP),
        };
        match result {
            Ok(_) if header.flags & wire::FLAG_NO_REPLY != 0 => Ok(()),
            Ok(reply) => owner.reply(&header, &reply),
            Err(errno) => {
                tracing::warn!(command = header.command, %errno, "request refused");
                owner.reply_error(&header, errno)
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = fs::remove_file(&self.path);
    }
}
