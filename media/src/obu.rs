//! What an AV1 bitstream says of itself: sequence headers, key frames and their quantisation matrices, read from the start of
//! each temporal unit. Layout: AV1 Bitstream & Decoding Process Specification, sections 5.3 to 5.9.
//!
//! Reads headers only; whatever the bytes are, it ends without a panic and in memory of its input.

/// A sequence header, as far as it can be held against a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence {
    /// 0 is 8 or 10 bit 4:2:0.
    pub profile: u32,
    /// Bits of a sample.
    pub bit_depth: u32,
    /// Whether there is luma alone.
    pub monochrome: bool,
    /// Width of the largest frame.
    pub width: u32,
    /// Height of the largest frame.
    pub height: u32,
    /// Colour primaries; 2 is unspecified.
    pub primaries: u32,
    /// Transfer characteristics.
    pub transfer: u32,
    /// Matrix coefficients.
    pub matrix: u32,
    /// Whether samples have the full range.
    pub full_range: bool,
    /// Where chroma lies: 0 unknown, 1 left, 2 top left.
    pub chroma: u32,
    /// Whether decoders may be told to add grain.
    pub film_grain: bool,
    inner: Inner,
}

/// What reading a frame header needs besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inner {
    large_blocks: bool,
    screen_content: u32,
    integer_motion: u32,
    order_hint_bits: u32,
    frame_id_bits: u32,
    width_bits: u32,
    height_bits: u32,
    superres: bool,
    separate_chroma: bool,
    decoder_model: bool,
    /// Where range and place of chroma stand, in bits.
    range_at: Option<usize>,
    chroma_at: Option<usize>,
}

/// The start of a frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Whether it is a key frame that is shown.
    pub shown_key: bool,
    /// Of a shown key frame, whether it uses quantisation matrices, and the flattest level of luma (15 is flat); none where
    /// the header goes another way than any of our encoders writes it.
    pub matrices: Option<(bool, u32)>,
}

/// What a whole stream was found to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The first sequence header.
    pub sequence: Option<Sequence>,
    /// Whether every other sequence header says the same.
    pub changes: bool,
    /// Temporal units.
    pub units: u64,
    /// Temporal units that start with a shown key frame.
    pub key_frames: u64,
    /// Most units from one key frame to the next, or to the end.
    pub longest: u64,
    /// Whether the first unit is a key frame.
    pub starts_with_key: bool,
    /// Key frames that use quantisation matrices.
    pub with_matrices: u64,
    /// Units that could not be read.
    pub unreadable: u64,
    since_key: u64,
}

impl Survey {
    /// Takes in the next temporal unit; returns whether it starts with a shown key frame.
    pub fn unit(&mut self, bytes: &[u8]) -> bool {
        let mut key = false;
        match self.read(bytes) {
            Some(frame) => {
                key = frame.shown_key;
                self.with_matrices += u64::from(frame.matrices.is_some_and(|(used, _)| used));
            }
            None => self.unreadable += 1,
        }
        if self.units == 0 {
            self.starts_with_key = key;
        }
        self.units += 1;
        self.since_key = if key { 1 } else { self.since_key + 1 };
        self.longest = self.longest.max(self.since_key);
        self.key_frames += u64::from(key);
        key
    }

    /// The first frame header of the unit; sequence headers before it are kept.
    fn read(&mut self, mut bytes: &[u8]) -> Option<Frame> {
        while let Some((kind, payload, rest)) = next(bytes) {
            match kind {
                1 => {
                    let sequence = Sequence::parse(payload)?;
                    self.changes |= self.sequence.is_some_and(|known| known != sequence);
                    self.sequence.get_or_insert(sequence);
                }
                3 | 6 => return Frame::parse(payload, &self.sequence?),
                _ => {}
            }
            bytes = rest;
        }
        None
    }
}

/// Writes range and place of chroma into the sequence headers of a temporal unit: aomenc and rav1e can't be told them. Nothing
/// else changes, and nothing moves.
pub fn put_colour(unit: &mut [u8], full_range: bool, chroma: u32) {
    let mut start = 0;
    while let Some((kind, payload, rest)) = next(&unit[start..]) {
        let begin = unit.len() - rest.len() - payload.len();
        let found = if kind == 1 { Sequence::parse(payload) } else { None };
        start = unit.len() - rest.len();
        let Some(Inner { range_at, chroma_at, .. }) = found.map(|sequence| sequence.inner) else { continue };
        let mut put = |at: usize, bit: bool| {
            let mask = 0x80 >> (at % 8);
            if let Some(byte) = unit.get_mut(begin + at / 8) {
                *byte = if bit { *byte | mask } else { *byte & !mask };
            }
        };
        if let Some(at) = range_at {
            put(at, full_range);
        }
        if let Some(at) = chroma_at {
            put(at, chroma & 2 != 0);
            put(at + 1, chroma & 1 != 0);
        }
    }
}

/// Type and payload of the first open bitstream unit, and what follows it.
pub(crate) fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let head = *bytes.first()?;
    let kind = (head >> 3) & 15;
    let start = if head & 4 == 0 { 1 } else { 2 };
    let after = bytes.get(start..)?;
    if head & 2 == 0 {
        return Some((kind, after, &[]));
    }
    let (size, used) = leb128(after)?;
    let payload = after.get(used..)?;
    let size = usize::try_from(size).ok()?;
    Some((kind, payload.get(..size)?, &payload[size..]))
}

/// A number in LEB128, and how many bytes it takes.
fn leb128(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 127) << (7 * at);
        if byte & 128 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Bits, the highest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn get(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.position / 8)?;
            value = (value << 1) | u32::from(byte >> (7 - self.position % 8) & 1);
            self.position += 1;
        }
        Some(value)
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.get(1)? == 1)
    }

    /// A number of variable length.
    fn uvlc(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros >= 32 {
                return None;
            }
        }
        Some(self.get(zeros)?.saturating_add((1 << zeros) - 1))
    }

    /// A number below `most`, in as few bits as that needs.
    fn below(&mut self, most: u32) -> Option<u32> {
        let bits = 32 - most.leading_zeros();
        let short = (1_u64 << bits) - u64::from(most);
        let value = self.get(bits.saturating_sub(1))?;
        if u64::from(value) < short {
            return Some(value);
        }
        let low = self.get(1)?;
        u32::try_from((u64::from(value) << 1) - short + u64::from(low)).ok()
    }

    /// A difference of quantizers; only that it is there matters.
    fn delta(&mut self) -> Option<()> {
        if self.flag()? {
            self.get(7)?;
        }
        Some(())
    }
}

impl Sequence {
    /// Reads a sequence header; one of a still picture is none of ours.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bits = &mut Bits { bytes, position: 0 };
        let profile = bits.get(3)?;
        let _still = bits.flag()?;
        if bits.flag()? {
            return None;
        }
        let decoder_model = operating_points(bits)?;
        let (width_bits, height_bits) = (bits.get(4)? + 1, bits.get(4)? + 1);
        let (width, height) = (bits.get(width_bits)?.checked_add(1)?, bits.get(height_bits)?.checked_add(1)?);
        let frame_id_bits = if bits.flag()? { bits.get(4)? + 2 + bits.get(3)? + 1 } else { 0 };
        let large_blocks = bits.flag()?;
        // Intra filter and edge filter; compound modes, warped motion, dual filter.
        bits.get(2 + 4)?;
        let order_hint = bits.flag()?;
        if order_hint {
            bits.get(2)?;
        }
        let screen_content = if bits.flag()? { 2 } else { bits.get(1)? };
        let integer_motion = match screen_content {
            0 => 2,
            _ if bits.flag()? => 2,
            _ => bits.get(1)?,
        };
        let order_hint_bits = if order_hint { bits.get(3)? + 1 } else { 0 };
        let superres = bits.flag()?;
        // Directional enhancement and restoration.
        bits.get(2)?;
        let colour = Colour::parse(bits, profile)?;
        let inner = Inner {
            large_blocks,
            screen_content,
            integer_motion,
            order_hint_bits,
            frame_id_bits,
            width_bits,
            height_bits,
            superres,
            separate_chroma: colour.separate_chroma,
            decoder_model,
            range_at: colour.range_at,
            chroma_at: colour.chroma_at,
        };
        Some(Self {
            profile,
            bit_depth: colour.bit_depth,
            monochrome: colour.monochrome,
            width,
            height,
            primaries: colour.primaries,
            transfer: colour.transfer,
            matrix: colour.matrix,
            full_range: colour.full_range,
            chroma: colour.chroma,
            film_grain: bits.flag()?,
            inner,
        })
    }
}

/// Reads over timing and operating points; says whether there is a decoder model.
fn operating_points(bits: &mut Bits<'_>) -> Option<bool> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.get(32)?;
        bits.get(32)?;
        if bits.flag()? {
            bits.uvlc()?;
        }
        if bits.flag()? {
            delay_bits = Some(bits.get(5)? + 1);
            bits.get(32)?;
            bits.get(10)?;
        }
    }
    let display_delay = bits.flag()?;
    for _ in 0..=bits.get(5)? {
        bits.get(12)?;
        if bits.get(5)? > 7 {
            bits.get(1)?;
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.get(delay_bits)?;
            bits.get(delay_bits)?;
            bits.get(1)?;
        }
        if display_delay && bits.flag()? {
            bits.get(4)?;
        }
    }
    Some(delay_bits.is_some())
}

struct Colour {
    bit_depth: u32,
    monochrome: bool,
    primaries: u32,
    transfer: u32,
    matrix: u32,
    full_range: bool,
    chroma: u32,
    separate_chroma: bool,
    range_at: Option<usize>,
    chroma_at: Option<usize>,
}

impl Colour {
    fn parse(bits: &mut Bits<'_>, profile: u32) -> Option<Self> {
        let high = bits.flag()?;
        let twelve = profile == 2 && high && bits.flag()?;
        let bit_depth = if twelve { 12 } else { 8 + 2 * u32::from(high) };
        let monochrome = profile != 1 && bits.flag()?;
        let (primaries, transfer, matrix) =
            if bits.flag()? { (bits.get(8)?, bits.get(8)?, bits.get(8)?) } else { (2, 2, 2) };
        let mut colour = Self {
            bit_depth,
            monochrome,
            primaries,
            transfer,
            matrix,
            full_range: true,
            chroma: 0,
            separate_chroma: false,
            range_at: None,
            chroma_at: None,
        };
        if monochrome {
            colour.full_range = bits.flag()?;
            return Some(colour);
        }
        let mut halved = (false, false);
        if (primaries, transfer, matrix) != (1, 13, 0) {
            colour.range_at = Some(bits.position);
            colour.full_range = bits.flag()?;
            halved = match profile {
                0 => (true, true),
                1 => (false, false),
                _ if bit_depth == 12 => {
                    let x = bits.flag()?;
                    (x, x && bits.flag()?)
                }
                _ => (true, false),
            };
        }
        if halved == (true, true) {
            colour.chroma_at = Some(bits.position);
            colour.chroma = bits.get(2)?;
        }
        colour.separate_chroma = bits.flag()?;
        Some(colour)
    }
}

impl Frame {
    /// Reads the start of a frame's header; of shown key frames up to the quantizers.
    #[must_use]
    pub fn parse(bytes: &[u8], sequence: &Sequence) -> Option<Self> {
        let bits = &mut Bits { bytes, position: 0 };
        let other = Self { shown_key: false, matrices: None };
        if bits.flag()? {
            return Some(other);
        }
        let kind = bits.get(2)?;
        if kind != 0 || !bits.flag()? {
            return Some(other);
        }
        let matrices = if sequence.inner.decoder_model { None } else { Self::matrices(bits, sequence) };
        Some(Self { shown_key: true, matrices })
    }

    /// From behind `show_frame` of a key frame to its quantisation matrices.
    fn matrices(bits: &mut Bits<'_>, sequence: &Sequence) -> Option<(bool, u32)> {
        let inner = &sequence.inner;
        let fixed_probabilities = bits.flag()?;
        let screen = if inner.screen_content == 2 { bits.flag()? } else { inner.screen_content == 1 };
        if screen && inner.integer_motion == 2 {
            bits.get(1)?;
        }
        bits.get(inner.frame_id_bits)?;
        let own_size = bits.flag()?;
        bits.get(inner.order_hint_bits)?;
        let (mut width, mut height) = (sequence.width, sequence.height);
        if own_size {
            (width, height) =
                (bits.get(inner.width_bits)?.checked_add(1)?, bits.get(inner.height_bits)?.checked_add(1)?);
        }
        let mut scaled = false;
        if inner.superres && bits.flag()? {
            let denominator = bits.get(3)? + 9;
            width = (width * 8 + denominator / 2) / denominator;
            scaled = true;
        }
        if bits.flag()? {
            bits.get(32)?;
        }
        if screen && !scaled {
            bits.get(1)?;
        }
        if !fixed_probabilities {
            bits.get(1)?;
        }
        tiles(bits, width, height, inner.large_blocks)?;
        bits.get(8)?;
        bits.delta()?;
        if !sequence.monochrome {
            let apart = inner.separate_chroma && bits.flag()?;
            for _ in 0..if apart { 4 } else { 2 } {
                bits.delta()?;
            }
        }
        if !bits.flag()? {
            return Some((false, 15));
        }
        Some((true, bits.get(4)?))
    }
}

/// Reads over the layout of tiles.
fn tiles(bits: &mut Bits<'_>, width: u32, height: u32, large_blocks: bool) -> Option<()> {
    /// Least power of two by which `block` reaches `target`.
    fn log2(block: u32, target: u32) -> u32 {
        (0..32).find(|power| (u64::from(block) << power) >= u64::from(target)).unwrap_or(32)
    }
    let block_log2 = if large_blocks { 7 } else { 6 };
    let blocks = |pixels: u32| pixels.div_ceil(8).saturating_mul(8).div_ceil(1 << block_log2).max(1);
    let (columns, rows) = (blocks(width), blocks(height));
    let most_width = 4096 >> block_log2;
    let most_area = (4096 * 2304) >> (2 * block_log2);
    let least_columns = log2(most_width, columns);
    let least = least_columns.max(log2(most_area, rows.saturating_mul(columns)));
    let raised = |bits: &mut Bits<'_>, from: u32, to: u32| {
        let mut value = from;
        while value < to && bits.flag()? {
            value += 1;
        }
        Some(value)
    };
    let (columns_log2, rows_log2);
    if bits.flag()? {
        columns_log2 = raised(bits, least_columns, log2(1, columns.min(64)))?;
        rows_log2 = raised(bits, least.saturating_sub(columns_log2), log2(1, rows.min(64)))?;
    } else {
        let (mut widest, mut count, mut start) = (0, 0, 0);
        while start < columns && count < 64 {
            let size = bits.below((columns - start).min(most_width))? + 1;
            widest = widest.max(size);
            start += size;
            count += 1;
        }
        columns_log2 = log2(1, count);
        let area = if least > 0 { (rows.saturating_mul(columns)) >> (least + 1) } else { rows.saturating_mul(columns) };
        let most_height = (area / widest.max(1)).max(1);
        (count, start) = (0, 0);
        while start < rows && count < 64 {
            start += bits.below((rows - start).min(most_height))? + 1;
            count += 1;
        }
        rows_log2 = log2(1, count);
    }
    if columns_log2 > 0 || rows_log2 > 0 {
        bits.get(columns_log2 + rows_log2 + 2)?;
    }
    Some(())
}

#[cfg(test)]
mod tests;
