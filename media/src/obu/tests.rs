//! Headers that the encoders of the image wrote, read, changed and damaged.

use proptest::prelude::*;

use super::*;

/// Temporal units made by the encoders of the image, 64x64 and 10 bit, as hexadecimal.
const UNITS: &[(&str, &str)] = &[
    (
        "SVT-AV1 with matrices and grain",
        "12000a0e02000005557ffc6af9d0902022c032281400a7829294737d401006d00d9361cdffcdc4002ffe2aa006a366a6cb10e41fe41efef6ef26f4fc",
    ),
    (
        "SVT-AV1",
        "12000a0b02000005557ffc6af9c04032281400a78090dd42bdefb78f07d21cf6d7f311defcea3a1e362644b5eb5917fbddce1739d3643c29e4",
    ),
    (
        "libaom with matrices and grain",
        "12000a0d00000002afff9b5f2a1220121832281000a88aa838e49824baea39bec00966c96a2babcc90eb5feb6300137919ff193003d5e40ff51f7f",
    ),
    (
        "rav1e with grain",
        "12000a0d000000f957ffc42155010e015c32281002831589fff5ee7f001fa80ff4040c0210010f0000000a28a28208232acce0001140127013b014",
    ),
];

#[test]
fn units_are_counted_with_the_distance_of_key_frames() {
    let mut survey = Survey::default();
    survey.unit(&[0x12, 0]);
    assert_eq!((survey.units, survey.unreadable, survey.starts_with_key), (1, 1, false));
}

#[test]
fn headers_of_every_encoder_are_read() {
    let mut found = Vec::new();
    for (name, unit) in UNITS {
        let mut survey = Survey::default();
        survey.unit(&hex::decode(unit).unwrap());
        let sequence = survey.sequence.unwrap();
        assert_eq!((sequence.width, sequence.height, sequence.bit_depth, survey.key_frames), (64, 64, 10, 1), "{name}");
        let colour = (sequence.primaries, sequence.transfer, sequence.matrix, sequence.full_range, sequence.chroma);
        found.push((*name, colour, sequence.film_grain, survey.with_matrices));
    }
    let expected = [
        ("SVT-AV1 with matrices and grain", (9, 2, 2, false, 1), true, 1),
        ("SVT-AV1", (2, 2, 2, false, 0), false, 0),
        ("libaom with matrices and grain", (9, 16, 9, false, 0), true, 1),
        ("rav1e with grain", (1, 14, 1, false, 2), true, 0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn range_and_place_of_chroma_are_written_and_nothing_else() {
    for (name, unit) in UNITS {
        let before = hex::decode(unit).unwrap();
        let mut unit = before.clone();
        put_colour(&mut unit, true, 1);
        let read = |unit: &[u8]| {
            let mut survey = Survey::default();
            survey.unit(unit);
            survey.sequence.unwrap()
        };
        let (old, new) = (read(&before), read(&unit));
        assert_eq!(new, Sequence { full_range: true, chroma: 1, ..old }, "{name}");
        put_colour(&mut unit, old.full_range, old.chroma);
        assert_eq!(unit, before, "{name}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(units in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 0..4)) {
        let mut survey = Survey::default();
        for unit in &units {
            survey.unit(unit);
        }
        prop_assert_eq!(survey.units, units.len() as u64);
    }

    #[test]
    fn a_damaged_unit_is_read_without_a_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        prop_assume!(!UNITS.is_empty());
        let mut unit = hex::decode(UNITS[which.index(UNITS.len())].1).unwrap();
        let position = at.index(unit.len());
        unit[position] = byte;
        unit.truncate(cut.index(unit.len()) + 1);
        Survey::default().unit(&unit);
    }
}
