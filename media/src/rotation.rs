//! How a picture is turned when it is shown, as containers tell it by a matrix or by angles.
//!
//! Pure. Only quarter turns, with or without a mirror; whatever else a matrix does is refused by whoever asks.

use std::fmt;

use crate::probe::{SideData, Stream};

/// ffprobe's name for the matrix of a container.
pub const MATRIX: &str = "Display Matrix";
/// One in the matrix's numbers, which have 16 bits behind the point.
const ONE: i64 = 1 << 16;

/// Turned by so many quarters against the clock after it was mirrored left to right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// 0 to 3.
    pub quarters: u8,
    /// Whether it is mirrored.
    pub flipped: bool,
}

/// A matrix that does something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its display matrix is none of a quarter turn or a mirror")]
pub struct OtherMatrix;

impl Rotation {
    /// What the container tells of a stream; none told is none.
    ///
    /// # Errors
    /// [`OtherMatrix`] when the matrix scales or skews, or can't be read.
    pub fn of(stream: &Stream) -> Result<Self, OtherMatrix> {
        match stream.side_data.iter().find(|data| data.kind == MATRIX) {
            None => Ok(Self::default()),
            Some(data) => matrix(data).and_then(Self::from_matrix).ok_or(OtherMatrix),
        }
    }

    /// Whether the picture is shown as it is.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Yaw and roll in degrees, as Matroska's projection tells them and FFmpeg reads them.
    #[must_use]
    pub fn pose(self) -> (f64, f64) {
        let roll = match self.quarters {
            0 => 0.0,
            1 => 90.0,
            2 => 180.0,
            _ => -90.0,
        };
        (if self.flipped { 180.0 } else { 0.0 }, roll)
    }

    fn from_matrix([a, b, u, c, d, v, ..]: [i64; 9]) -> Option<Self> {
        if u != 0 || v != 0 {
            return None;
        }
        // The lower row is (sin, cos) of the turn; the upper one is (cos, -sin), or its opposite when mirrored.
        let quarters = match (c, d) {
            (0, ONE) => 0,
            (ONE, 0) => 1,
            (0, d) if d == -ONE => 2,
            (c, 0) if c == -ONE => 3,
            _ => return None,
        };
        match (a, b) {
            (a, b) if a == d && b == -c => Some(Self { quarters, flipped: false }),
            (a, b) if a == -d && b == c => Some(Self { quarters, flipped: true }),
            _ => None,
        }
    }
}

impl fmt::Display for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}°{}", u32::from(self.quarters) * 90, if self.flipped { ", mirrored" } else { "" })
    }
}

/// The nine numbers of ffprobe's `displaymatrix`: three lines, each behind an offset and a colon.
fn matrix(data: &SideData) -> Option<[i64; 9]> {
    let text = data.values.get("displaymatrix")?;
    let numbers = text.lines().filter_map(|line| line.split_once(':')).flat_map(|(_, row)| row.split_whitespace());
    let numbers: Vec<i64> = numbers.map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: [[i64; 3]; 3]) -> Result<Rotation, OtherMatrix> {
        let lines: Vec<String> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| format!("{at:08}: {:11} {:11} {:11}", row[0], row[1], row[2]))
            .collect();
        let values = [("displaymatrix".to_owned(), format!("\n{}\n", lines.join("\n")))].into_iter().collect();
        Rotation::of(&Stream { side_data: vec![SideData { kind: MATRIX.to_owned(), values }], ..Stream::default() })
    }

    #[test]
    fn quarter_turns_and_mirrors_are_read_whatever_they_move_by() {
        let last = [70_778_880, 0, 1 << 30];
        let cases = [
            ([[ONE, 0, 0], [0, ONE, 0], last], (0, false)),
            ([[0, ONE, 0], [-ONE, 0, 0], last], (3, false)),
            ([[0, -ONE, 0], [ONE, 0, 0], last], (1, false)),
            ([[-ONE, 0, 0], [0, -ONE, 0], last], (2, false)),
            ([[-ONE, 0, 0], [0, ONE, 0], last], (0, true)),
            ([[ONE, 0, 0], [0, -ONE, 0], last], (2, true)),
            ([[0, ONE, 0], [ONE, 0, 0], last], (1, true)),
        ];
        for (rows, (quarters, flipped)) in cases {
            assert_eq!(of(rows), Ok(Rotation { quarters, flipped }), "{rows:?}");
        }
    }

    #[test]
    fn other_matrices_are_refused_and_none_is_none() {
        for rows in [
            [[2 * ONE, 0, 0], [0, ONE, 0], [0, 0, 1 << 30]],
            [[46_341, 46_341, 0], [-46_341, 46_341, 0], [0, 0, 1 << 30]],
            [[ONE, 0, 1], [0, ONE, 0], [0, 0, 1 << 30]],
            [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        ] {
            assert_eq!(of(rows), Err(OtherMatrix), "{rows:?}");
        }
        assert!(Rotation::of(&Stream::default()).unwrap().is_none());
        let unread = Stream {
            side_data: vec![SideData { kind: MATRIX.to_owned(), ..SideData::default() }],
            ..Stream::default()
        };
        assert_eq!(Rotation::of(&unread), Err(OtherMatrix));
    }
}
