//! A message of ZRE 2: a command frame, and for WHISPER and SHOUT the content behind it.
//!
//! ```text
//!   AA A1  id (1)  version 02  sequence (2)  then
//!    1 HELLO    endpoint string  groups strings  status (1)  name string  headers dictionary
//!    2 WHISPER                                      content frames
//!    3 SHOUT    group string                        content frames
//!    4 JOIN     group string  status (1)            5 LEAVE     group string  status (1)
//!    6 PING                                         7 PING-OK
//!    8 ELECT    group string  challenger string     9 LEADER    group string  leader string     (Zyre)
//!   10 GOODBYE                                                                                  (Zyre)
//! ```

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::PeerFault;
use super::identity::GroupName;
use super::wire::{Reader, put_long_string, put_string};
use crate::frames::Frames;
use crate::limits;

/// A command with its number in the order of what was sent to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// 1 for the first message to a peer, one more for each; 0 follows 65535.
    pub sequence: u16,
    /// What is said.
    pub command: Command,
}

/// What one node says to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Who I am: the first message to a peer.
    Hello(Hello),
    /// To one node.
    Whisper {
        /// Any number of frames.
        content: Frames,
    },
    /// To the members of a group.
    Shout {
        /// The group.
        group: GroupName,
        /// Any number of frames.
        content: Frames,
    },
    /// I am in this group from now on.
    Join {
        /// The group.
        group: GroupName,
        /// How often my groups have changed, this time included; 0 follows 255.
        status: u8,
    },
    /// I am not in this group any more.
    Leave {
        /// The group.
        group: GroupName,
        /// As in JOIN.
        status: u8,
    },
    /// Are you there?
    Ping,
    /// I am.
    PingOk,
    /// An election in a group: who I stand for.
    Elect {
        /// The group.
        group: GroupName,
        /// The challenger, as 32 digits.
        challenger: String,
    },
    /// The end of an election.
    Leader {
        /// The group.
        group: GroupName,
        /// The leader, as 32 digits.
        leader: String,
    },
    /// I leave.
    Goodbye,
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hello {
    /// Where its ROUTER listens.
    pub endpoint: String,
    /// The groups that it is in.
    pub groups: Vec<GroupName>,
    /// How often its groups have changed.
    pub status: u8,
    /// Its name.
    pub name: String,
    /// What else it wants known.
    pub headers: BTreeMap<String, String>,
}

impl Message {
    /// The frames.
    pub fn encode(self) -> Frames {
        let mut head = BytesMut::with_capacity(64);
        head.put_slice(SIGNATURE);
        head.put_u8(self.command.number());
        head.put_u8(VERSION);
        head.put_u16(self.sequence);
        let content = self.command.put(&mut head);
        let mut frames = Frames::with_capacity(content.len() + 1);
        frames.push(head.freeze());
        frames.extend(content);
        frames
    }

    /// Reads a message.
    ///
    /// # Errors
    /// The rule that it breaks. A command frame is at most [`limits::ZRE_COMMAND_BYTES_MAX`] long.
    pub fn decode(mut frames: Frames) -> Result<Self, PeerFault> {
        let head: Bytes = frames.pop_front().ok_or(PeerFault::Signature)?;
        if head.len() > limits::ZRE_COMMAND_BYTES_MAX {
            return Err(PeerFault::Bytes(head.len()));
        }
        let mut reader = Reader(head.strip_prefix(SIGNATURE).ok_or(PeerFault::Signature)?);
        let number = reader.u8("command")?;
        let version = reader.u8("version")?;
        if version != VERSION {
            return Err(PeerFault::Version(version));
        }
        let sequence = reader.u16("sequence")?;
        Ok(Self { sequence, command: Command::read(number, reader, frames)? })
    }
}

impl Command {
    /// The name, as the RFC spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "HELLO",
            Self::Whisper { .. } => "WHISPER",
            Self::Shout { .. } => "SHOUT",
            Self::Join { .. } => "JOIN",
            Self::Leave { .. } => "LEAVE",
            Self::Ping => "PING",
            Self::PingOk => "PING-OK",
            Self::Elect { .. } => "ELECT",
            Self::Leader { .. } => "LEADER",
            Self::Goodbye => "GOODBYE",
        }
    }

    fn number(&self) -> u8 {
        match self {
            Self::Hello(_) => 1,
            Self::Whisper { .. } => 2,
            Self::Shout { .. } => 3,
            Self::Join { .. } => 4,
            Self::Leave { .. } => 5,
            Self::Ping => 6,
            Self::PingOk => 7,
            Self::Elect { .. } => 8,
            Self::Leader { .. } => 9,
            Self::Goodbye => 10,
        }
    }

    /// Writes the fields; what is left is content.
    fn put(self, head: &mut BytesMut) -> Frames {
        match self {
            Self::Hello(hello) => hello.put(head),
            Self::Whisper { content } => return content,
            Self::Shout { group, content } => {
                put_string(head, group.as_str());
                return content;
            }
            Self::Join { group, status } | Self::Leave { group, status } => {
                put_string(head, group.as_str());
                head.put_u8(status);
            }
            Self::Elect { group, challenger: text } | Self::Leader { group, leader: text } => {
                put_string(head, group.as_str());
                put_string(head, &text);
            }
            Self::Ping | Self::PingOk | Self::Goodbye => {}
        }
        Frames::new()
    }

    fn read(number: u8, mut reader: Reader<'_>, content: Frames) -> Result<Self, PeerFault> {
        let command = match number {
            1 => Self::Hello(Hello::read(&mut reader)?),
            2 => {
                reader.end("WHISPER")?;
                return Ok(Self::Whisper { content });
            }
            3 => {
                let group = reader.group()?;
                reader.end("SHOUT")?;
                return Ok(Self::Shout { group, content });
            }
            4 => Self::Join { group: reader.group()?, status: reader.u8("status")? },
            5 => Self::Leave { group: reader.group()?, status: reader.u8("status")? },
            6 => Self::Ping,
            7 => Self::PingOk,
            8 => Self::Elect { group: reader.group()?, challenger: reader.string("challenger")?.to_owned() },
            9 => Self::Leader { group: reader.group()?, leader: reader.string("leader")?.to_owned() },
            10 => Self::Goodbye,
            unknown => return Err(PeerFault::Command(unknown)),
        };
        reader.end(command.name())?;
        if content.is_empty() { Ok(command) } else { Err(PeerFault::Trailing(command.name())) }
    }
}

impl Hello {
    fn put(&self, head: &mut BytesMut) {
        put_string(head, &self.endpoint);
        head.put_u32(u32::try_from(self.groups.len()).unwrap_or(u32::MAX));
        self.groups.iter().for_each(|group| put_long_string(head, group.as_str()));
        head.put_u8(self.status);
        put_string(head, &self.name);
        head.put_u32(u32::try_from(self.headers.len()).unwrap_or(u32::MAX));
        for (name, value) in &self.headers {
            put_string(head, name);
            put_long_string(head, value);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, PeerFault> {
        Ok(Self {
            endpoint: reader.string("endpoint")?.to_owned(),
            groups: reader.groups()?,
            status: reader.u8("status")?,
            name: reader.string("name")?.to_owned(),
            headers: reader.headers()?,
        })
    }
}

const SIGNATURE: &[u8] = &[0xaa, 0xa1];
const VERSION: u8 = 2;
