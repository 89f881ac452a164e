//! The outbox alone: what is written, in which portions, and what a lost connection leaves unsent.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn message(sizes: &[usize]) -> Frames {
    sizes.iter().map(|&size| Bytes::from(vec![u8::try_from(size % 251).unwrap(); size])).collect()
}

/// All octets from the cursor on.
fn left(outbox: &Outbox, cursor: &Cursor) -> Vec<u8> {
    let mut slices = vec![IoSlice::new(&[]); 1000];
    let count = outbox.slices(cursor, &mut slices);
    slices[..count].iter().flat_map(|slice| slice.to_vec()).collect()
}

fn all(outbox: &Outbox) -> Vec<u8> {
    left(outbox, &Cursor::default())
}

fn outbox(messages: &[Frames]) -> Outbox {
    let mut outbox = Outbox::default();
    messages.iter().for_each(|message| outbox.push(message));
    outbox
}

#[test]
fn small_frames_share_the_buffer_and_large_ones_stay_where_they_are() {
    let large = Bytes::from(vec![1; SMALL_FRAME_BYTES + 1]);
    let frames = Frames::from([Bytes::from_static(b"a"), large.clone(), Bytes::from_static(b"b")]);
    let outbox = outbox(&[frames]);
    let mut slices = [IoSlice::new(&[]); 9];
    assert_eq!(outbox.slices(&Cursor::default(), &mut slices), 3);
    assert_eq!(&slices[0][..3], b"\x01\x01a");
    assert_eq!(slices[1].as_ptr(), large.as_ptr(), "not copied");
    assert_eq!(&slices[2][..], b"\x00\x01b");
    assert_eq!(outbox.bytes(), all(&outbox).len());
}

#[test]
fn a_message_without_frames_travels_as_one_empty_frame() {
    let outbox = outbox(&[Frames::new()]);
    assert_eq!((all(&outbox), outbox.messages()), (vec![0, 0], 1));
}

#[test]
fn a_burst_takes_the_large_buffer_that_another_one_gave_back() {
    let burst = |outbox: &mut Outbox| {
        for _ in 0..100 {
            outbox.push(&Frames::from([Bytes::from(vec![7; 1000])]));
        }
        outbox.octets.as_ptr()
    };
    let (mut first, mut second) = (Outbox::default(), Outbox::default());
    let buffer = burst(&mut first);
    let written = first.octets.clone();
    first.clear();
    assert_eq!(burst(&mut second), buffer);
    assert_eq!(second.octets, written);
}

#[test]
fn no_more_spare_buffers_are_kept_than_a_few_of_a_bounded_size() {
    for size in [KEPT_BYTES_MAX, SPARE_BYTES_MAX + 1] {
        give_spare(Vec::with_capacity(size));
        assert!(SPARES.with_borrow(Vec::is_empty), "{size}");
    }
    for _ in 0..=SPARES_MAX {
        give_spare(Vec::with_capacity(LARGE_BYTES));
    }
    assert_eq!(SPARES.with_borrow(Vec::len), SPARES_MAX);
}

#[test]
fn a_cleared_outbox_keeps_no_huge_buffer() {
    let mut outbox = outbox(&vec![message(&[4000]); 1000]);
    outbox.clear();
    assert!(outbox.octets.capacity() <= KEPT_BYTES_MAX);
    assert_eq!((outbox.bytes(), outbox.messages()), (0, 0));
}

fn any_messages() -> impl Strategy<Value = Vec<Frames>> {
    let size = prop_oneof![3 => 0usize..10, 1 => 250usize..260, 1 => 4090usize..4105];
    vec(vec(size, 1..5).prop_map(|sizes| message(&sizes)), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn writing_in_any_portions_writes_everything_once(messages in any_messages(), portion in 1usize..5000) {
        let outbox = outbox(&messages);
        let (mut cursor, mut written, total) = (Cursor::default(), Vec::new(), all(&outbox));
        while written.len() < total.len() {
            let next = left(&outbox, &cursor);
            let step = portion.min(next.len());
            written.extend_from_slice(&next[..step]);
            let done = outbox.advance(&mut cursor, step);
            prop_assert_eq!(done, written.len() == total.len());
        }
        prop_assert_eq!(written, total);
    }

    #[test]
    fn what_is_unsent_starts_with_the_message_that_was_cut(messages in any_messages(), cut in 0.0f64..=1.0) {
        let outbox = outbox(&messages);
        let mut cursor = Cursor::default();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let written = (outbox.bytes() as f64 * cut) as usize;
        outbox.advance(&mut cursor, written);
        let mut whole = 0;
        let sent = messages.iter().take_while(|message| {
            whole += all(&super::tests::outbox(std::slice::from_ref(message))).len();
            whole <= written
        });
        let expected = super::tests::outbox(&messages[sent.count()..]);
        let unsent = outbox.unsent(&cursor);
        prop_assert_eq!(all(&unsent), all(&expected));
        prop_assert_eq!((unsent.messages(), unsent.bytes()), (expected.messages(), expected.bytes()));
    }

    #[test]
    fn appending_keeps_the_order(first in any_messages(), second in any_messages()) {
        let mut both = outbox(&first);
        both.append(&mut outbox(&second));
        prop_assert_eq!(all(&both), [all(&outbox(&first)), all(&outbox(&second))].concat());
        prop_assert_eq!(both.messages(), first.len() + second.len());
    }
}
