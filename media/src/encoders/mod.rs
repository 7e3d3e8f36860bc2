//! The encoders: which there are, what a plan asks of each in its own words, and what users may ask for.
//!
//! Each encoder has its own names and ranges; [`params`] holds them as tables, [`check`] judges settings by them, [`words`] turns
//! a plan into arguments.

pub mod check;
pub mod params;
pub mod words;

use av1_crds::encoding::{EncoderChoice, EngineChoice};

/// An AV1 encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoder {
    /// SVT-AV1.
    SvtAv1,
    /// libaom.
    Aom,
    /// rav1e.
    Rav1e,
}

impl Encoder {
    /// Every encoder, in the order in which `Auto` takes them.
    pub const ALL: [Self; 3] = [Self::SvtAv1, Self::Aom, Self::Rav1e];

    /// Its name, as users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SvtAv1 => "SvtAv1",
            Self::Aom => "Aom",
            Self::Rav1e => "Rav1e",
        }
    }

    /// Its own name.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::SvtAv1 => "SVT-AV1",
            Self::Aom => "libaom",
            Self::Rav1e => "rav1e",
        }
    }

    /// The program that Av1an runs, by whose version it is known too.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Self::SvtAv1 => "SvtAv1EncApp",
            Self::Aom => "aomenc",
            Self::Rav1e => "rav1e",
        }
    }

    /// Its name in Av1an.
    #[must_use]
    pub fn av1an(self) -> &'static str {
        match self {
            Self::SvtAv1 => "svt-av1",
            Self::Aom => "aom",
            Self::Rav1e => "rav1e",
        }
    }

    /// Its name in FFmpeg.
    #[must_use]
    pub fn ffmpeg(self) -> &'static str {
        match self {
            Self::SvtAv1 => "libsvtav1",
            Self::Aom => "libaom-av1",
            Self::Rav1e => "librav1e",
        }
    }

    /// The encoder of this name in a plan.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|encoder| encoder.as_str() == name)
    }

    /// The one that is asked for; none when any will do.
    #[must_use]
    pub fn asked(choice: EncoderChoice) -> Option<Self> {
        match choice {
            EncoderChoice::Auto => None,
            EncoderChoice::SvtAv1 => Some(Self::SvtAv1),
            EncoderChoice::Aom => Some(Self::Aom),
            EncoderChoice::Rav1e => Some(Self::Rav1e),
        }
    }

    /// The encoder for `choice` among those that the image `has`.
    #[must_use]
    pub fn choose(choice: EncoderChoice, has: impl Fn(Self) -> bool) -> Option<Self> {
        let asked = Self::asked(choice);
        Self::ALL.into_iter().find(|encoder| asked.is_none_or(|asked| asked == *encoder) && has(*encoder))
    }
}

/// What drives the encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Av1an: scene by scene.
    Av1an,
    /// One FFmpeg process.
    Ffmpeg,
}

impl Engine {
    /// The one that a choice asks for, as far as that can be told before the video is known: `Auto` counts as Av1an.
    #[must_use]
    pub fn asked(choice: EngineChoice) -> Self {
        match choice {
            EngineChoice::Auto | EngineChoice::Av1an => Self::Av1an,
            EngineChoice::Ffmpeg => Self::Ffmpeg,
        }
    }

    /// Its name, as users write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Av1an => "Av1an",
            Self::Ffmpeg => "Ffmpeg",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_takes_the_first_encoder_that_the_image_has() {
        assert_eq!(Encoder::choose(EncoderChoice::Auto, |_| true), Some(Encoder::SvtAv1));
        assert_eq!(Encoder::choose(EncoderChoice::Auto, |e| e != Encoder::SvtAv1), Some(Encoder::Aom));
        assert_eq!(Encoder::choose(EncoderChoice::Rav1e, |_| true), Some(Encoder::Rav1e));
        assert_eq!(Encoder::choose(EncoderChoice::Rav1e, |e| e == Encoder::SvtAv1), None);
        assert_eq!(Encoder::ALL.map(|e| Encoder::named(e.as_str())), Encoder::ALL.map(Some));
    }
}
