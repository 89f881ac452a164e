//! What is checked before a request leaves, so that a mistake is an error at once and not a timeout later.

use protocol::{Frames, ServiceName};
use runtime::zmtp::Limits;

use crate::error::Misuse;

/// A name as a caller writes it.
pub(crate) fn service_name(name: &[u8]) -> Result<ServiceName, Misuse> {
    ServiceName::new(name.to_vec()).map_err(|_| Misuse::ServiceName { bytes: name.len() })
}

/// A body that our own socket would refuse never leaves, and its caller would wait in vain.
pub(crate) fn check_body(body: &Frames, limits: &Limits) -> Result<(), Misuse> {
    let frames_max = limits.frames_max.saturating_sub(OVERHEAD_FRAMES);
    let bytes_max = limits.message_bytes_max.saturating_sub(OVERHEAD_BYTES);
    let (frames, bytes) = (body.len(), body.byte_count());
    if frames > frames_max || bytes > bytes_max {
        return Err(Misuse::Body { frames, bytes, frames_max, bytes_max });
    }
    Ok(())
}

/// Room for what travels with a body: envelope, delimiter, header, command and service from us; the broker passes it on
/// with an address of its own.
const OVERHEAD_FRAMES: usize = 32;
const OVERHEAD_BYTES: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn body_limits_are_met_and_not_passed() {
        let limits = Limits::default();
        let frames = |count| Frames::from(vec![Bytes::new(); count]);
        let most = limits.frames_max - OVERHEAD_FRAMES;
        assert_eq!(check_body(&frames(most), &limits), Ok(()));
        assert!(matches!(check_body(&frames(most + 1), &limits), Err(Misuse::Body { .. })));

        let bytes = |count| Frames::from([Bytes::from(vec![0; count])]);
        let most = limits.message_bytes_max - OVERHEAD_BYTES;
        assert_eq!(check_body(&bytes(most), &limits), Ok(()));
        assert!(matches!(check_body(&bytes(most + 1), &limits), Err(Misuse::Body { .. })));
    }

    #[test]
    fn a_service_name_has_1_to_255_bytes() {
        assert_eq!(service_name(b""), Err(Misuse::ServiceName { bytes: 0 }));
        assert_eq!(service_name(&[b'x'; 256]), Err(Misuse::ServiceName { bytes: 256 }));
        assert!(service_name(&[b'x'; 255]).is_ok());
    }
}
