//! Whether an encode that is still running can pass the size gate at all.
//!
//! Av1an takes many chunks in random order, so the finished ones are a fair sample of the film. Their bytes a frame times all frames
//! estimate the video (a ratio estimate: long chunks count for more); how much chunks scatter round that ratio gives its error.
//! What is in flight is left out: it is rather the longer and heavier chunks, so that the projection errs on the side of going on.

use av1_crds::figures;

use crate::ivf::{FILE_HEADER, FRAME_HEADER};

/// Fewest finished chunks, and the smallest part of the frames in them, from which anything is concluded.
pub const LEAST_CHUNKS: usize = 20;
/// One in so many frames must be in finished chunks.
pub const LEAST_SHARE: u64 = 4;
/// Quantile of Student's t distribution for a two-sided interval of 95 % with 19 degrees of freedom, those of the smallest
/// sample; larger samples would need less (NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2).
const QUANTILE: f64 = 2.093;

/// A finished chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// Its frames.
    pub frames: u64,
    /// Bytes of its video.
    pub bytes: u64,
}

impl Sampled {
    /// A chunk in an IVF file of `size` bytes; what the file has round its frames does not come into the output.
    #[must_use]
    pub fn of_ivf(frames: u64, size: u64) -> Self {
        let round = frames.saturating_mul(FRAME_HEADER as u64).saturating_add(FILE_HEADER as u64);
        Self { frames, bytes: size.saturating_sub(round) }
    }
}

/// What the whole encode will come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projection {
    /// Frames of finished chunks.
    pub frames: u64,
    /// Number of finished chunks.
    pub chunks: usize,
    /// Frames in all.
    pub total_frames: u64,
    /// Projected size of the output in bytes.
    pub bytes: u64,
    /// Lower end of its 95 % interval.
    pub least: u64,
}

/// Projects the output from `done`, chunks of a video of `total_frames` frames in `total_chunks` chunks, and `copied` bytes of
/// other streams. None while the sample is too small to conclude anything.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn project(done: &[Sampled], total_chunks: usize, total_frames: u64, copied: u64) -> Option<Projection> {
    let frames = done.iter().fold(0, |sum: u64, chunk| sum.saturating_add(chunk.frames));
    let bytes = done.iter().fold(0, |sum: u64, chunk| sum.saturating_add(chunk.bytes));
    if done.len() < LEAST_CHUNKS || frames == 0 || frames.saturating_mul(LEAST_SHARE) < total_frames {
        return None;
    }
    let (sample, all) = (done.len() as f64, total_chunks.max(done.len()) as f64);
    let a_frame = bytes as f64 / frames as f64;
    let squares: f64 = done.iter().map(|chunk| (chunk.bytes as f64 - a_frame * chunk.frames as f64).powi(2)).sum();
    // Of a sample without replacement from so many chunks.
    let error = all * ((1.0 - sample / all) * squares / (sample - 1.0) / sample).sqrt();
    let video = a_frame * total_frames as f64;
    // What is finished will be there in any case.
    let least = (video - QUANTILE * error).max(bytes as f64);
    let whole = |video: f64| (video as u64).saturating_add(copied);
    Some(Projection { frames, chunks: done.len(), total_frames, bytes: whole(video), least: whole(least) })
}

impl Projection {
    /// Whether even the lower end does not pass the gate: as in [`crate::size_gate::size_gate`], with what it will surely be.
    #[must_use]
    pub fn is_hopeless(&self, input_bytes: u64, max_percent: u32) -> bool {
        !crate::size_gate::size_gate(input_bytes, self.least, max_percent).passed
    }

    /// Why the encode is stopped, with the figures.
    #[must_use]
    pub fn why(&self, input_bytes: u64, max_percent: u32) -> String {
        let percent = |bytes: u64| crate::size_gate::size_gate(input_bytes, bytes, max_percent).percent;
        let done = u128::from(self.frames) * 100 / u128::from(self.total_frames.max(1));
        format!(
            "stopped after {done} % of the frames ({} chunks): {} would become about {}, {} % of the source, and at least {} % with a confidence of 95 %; less than {max_percent} % is wanted",
            self.chunks,
            figures::size(input_bytes),
            figures::size(self.bytes),
            percent(self.bytes),
            percent(self.least),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunk(frames: u64, bytes: u64) -> Sampled {
        Sampled { frames, bytes }
    }

    #[test]
    fn headers_of_a_chunks_file_do_not_count() {
        assert_eq!(Sampled::of_ivf(10, 32 + 10 * 12 + 7), chunk(10, 7));
        assert_eq!(Sampled::of_ivf(u64::MAX, 5).bytes, 0);
    }

    #[test]
    fn nothing_is_concluded_before_twenty_chunks_and_a_quarter_of_the_frames() {
        let same = |count: usize| vec![chunk(100, 1_000); count];
        assert_eq!(project(&same(19), 40, 4_000, 0), None);
        assert_eq!(project(&same(20), 100, 8_001, 0), None);
        assert!(project(&same(20), 100, 8_000, 0).is_some());
        assert_eq!(project(&[], 0, 0, 0), None);
        assert_eq!(project(&vec![chunk(0, 5); 30], 30, 0, 0), None);
    }

    #[test]
    fn chunks_that_are_all_alike_leave_no_doubt_and_copied_streams_count() {
        let projection = project(&[chunk(100, 1_000); 25], 100, 10_000, 500).unwrap();
        assert_eq!((projection.bytes, projection.least), (100_500, 100_500));
        assert!(projection.is_hopeless(111_666, 90) && !projection.is_hopeless(111_667, 90));
        assert_eq!(
            projection.why(100_500 << 10, 90),
            "stopped after 25 % of the frames (25 chunks): 98.1 MiB would become about 98.1 KiB, 1 % of the source, and at least 1 % with a confidence of 95 %; less than 90 % is wanted"
        );
    }

    #[test]
    fn chunks_that_differ_widely_leave_room() {
        let mixed: Vec<Sampled> = (0..30).map(|i| chunk(100, if i % 3 == 0 { 3_000 } else { 100 })).collect();
        let projection = project(&mixed, 60, 6_000, 0).unwrap();
        assert!(projection.least * 10 < projection.bytes * 9, "{projection:?}");
        assert_eq!(project(&mixed, 30, 3_000, 0).map(|p| p.bytes), project(&mixed, 30, 3_000, 0).map(|p| p.least));
    }

    /// A film's chunks: frames 24 to 240, bytes a frame that differ by a factor of up to a hundred.
    fn film() -> impl Strategy<Value = Vec<Sampled>> {
        let one =
            (24u64..=240, 5.0f64..9.6).prop_map(|(frames, log)| chunk(frames, (frames as f64 * log.exp()) as u64));
        prop::collection::vec(one, 80..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn of_random_halves_of_a_film_hardly_any_condemns_one_that_passes(film in film(), seed in any::<u64>()) {
            let (frames, bytes) = film.iter().fold((0, 0), |(f, b), c| (f + c.frames, b + c.bytes));
            // The film ends one byte below the gate: whatever is condemned is condemned wrongly.
            let input = (bytes + 1) * 100 / 90 + 1;
            let mut state = seed | 1;
            let mut wrong = 0;
            for _ in 0..100 {
                let mut order: Vec<Sampled> = film.clone();
                for i in (1..order.len()).rev() {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    order.swap(i, (state >> 33) as usize % (i + 1));
                }
                let half = project(&order[..film.len() / 2], film.len(), frames, 0);
                wrong += u32::from(half.is_some_and(|p| p.is_hopeless(input, 90)));
            }
            prop_assert!(wrong <= 12, "{} of 100", wrong);
        }

        #[test]
        fn the_lower_end_is_never_above_the_projection_nor_below_what_is_there(
            done in prop::collection::vec((1u64..500, 0u64..1 << 40), 20..60), more in 0usize..200, copied in 0u64..1 << 40,
        ) {
            let done: Vec<Sampled> = done.into_iter().map(|(frames, bytes)| chunk(frames, bytes)).collect();
            let (frames, bytes) = done.iter().fold((0, 0), |(f, b), c| (f + c.frames, b + c.bytes));
            if let Some(p) = project(&done, done.len() + more, frames + more as u64 * 24, copied) {
                prop_assert!(p.least <= p.bytes + 1 && p.least + 1 >= bytes + copied, "{:?}", p);
                prop_assert!(p.is_hopeless(0, 90) && p.is_hopeless(p.least, 100) && !p.is_hopeless(p.least + 1, 100));
            }
        }

        #[test]
        fn any_figures_are_taken(done in prop::collection::vec((any::<u64>(), any::<u64>()), 0..40), chunks in any::<usize>(), frames in any::<u64>(), copied in any::<u64>()) {
            let done: Vec<Sampled> = done.into_iter().map(|(frames, bytes)| chunk(frames, bytes)).collect();
            if let Some(p) = project(&done, chunks, frames, copied) {
                let _ = (p.is_hopeless(u64::MAX, 90), p.why(u64::MAX, 90));
            }
        }
    }
}
