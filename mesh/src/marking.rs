//! How nodes of ours know each other, and each other's mesh, before a word is said: by the node's id alone.
//!
//! ```text
//!   chance (6)  8D 4D  10xxxxxx  chance (3)  hash of the mesh's name (4)
//!               a UUID of version 8, "vendor specific" (RFC 9562); Zyre and pyre make those of version 4
//! ```
//!
//! So several meshes share one wire and never mix: a beacon of another mesh is dropped where it arrives, and costs no
//! connection. The whole name is compared once more in HELLO, since two names may have one hash.

use protocol::zre::NodeId;

/// The header that names a node's mesh. A foreign node joins a named mesh by setting it.
pub const MESH_HEADER: &str = "X-MESH";

/// A node of ours in the mesh of this name, from 16 octets of chance.
pub fn mark(chance: [u8; 16], mesh: &str) -> NodeId {
    let [a, b, c, d, e, f, _, _, g, h, i, j, ..] = chance;
    let [first, second] = MARK;
    let [k, l, m, n] = hash(mesh).to_be_bytes();
    NodeId([a, b, c, d, e, f, first, second, 0x80 | (g & 0x3f), h, i, j, k, l, m, n])
}

/// Whether a node is one of ours.
pub fn is_ours(node: NodeId) -> bool {
    let [_, _, _, _, _, _, first, second, variant, ..] = node.0;
    [first, second] == MARK && variant & 0xc0 == 0x80
}

/// Whether a node of ours can be of the mesh of this name.
pub fn may_be_of(node: NodeId, mesh: &str) -> bool {
    let [.., k, l, m, n] = node.0;
    is_ours(node) && [k, l, m, n] == hash(mesh).to_be_bytes()
}

/// FNV-1a: short names far apart, and nothing secret.
fn hash(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193))
}

const MARK: [u8; 2] = [0x8d, 0x4d];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_as_ours_and_of_its_mesh_by_its_id() {
        for chance in [[0; 16], [0xff; 16], [0x5a; 16]] {
            let node = mark(chance, "prod");
            assert!(is_ours(node) && may_be_of(node, "prod"));
            assert!(!may_be_of(node, "test") && !may_be_of(node, ""));
            assert!(may_be_of(mark(chance, ""), ""));
        }
    }

    #[test]
    fn a_uuid_of_version_4_or_1_is_not_ours() {
        for text in ["0011223344554677899AABBCCDDEEFF0", "00112233445514D7899AABBCCDDEEFF0"] {
            let node: NodeId = text.parse().unwrap();
            assert!(!is_ours(node) && !may_be_of(node, ""));
        }
    }

    #[test]
    fn chance_makes_different_nodes() {
        assert_ne!(mark([1; 16], "a"), mark([2; 16], "a"));
    }
}
