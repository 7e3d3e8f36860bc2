//! Versions of the tools, read from what they print, and whether they can do the work.

use std::collections::BTreeMap;

use crate::command::Command;
use crate::encoders::Encoder;

/// Lowest major version of FFmpeg that is accepted.
pub const FFMPEG_MAJOR: u32 = 8;
/// Below this version of FFmpeg there is a warning.
pub const FFMPEG_WANTED: (u32, u32, u32) = (8, 1, 2);

/// The tools, in the order in which they are asked, with the call that makes each print its version.
#[must_use]
pub fn calls() -> Vec<(&'static str, Command)> {
    vec![
        ("ffmpeg", Command::new("ffmpeg").arg("-version")),
        ("ffprobe", Command::new("ffprobe").arg("-version")),
        ("SvtAv1EncApp", Command::new("SvtAv1EncApp").arg("--version")),
        ("aomenc", Command::new("aomenc").arg("--help")),
        ("rav1e", Command::new("rav1e").arg("--version")),
        ("av1an", Command::new("av1an").arg("--version")),
        ("vspipe", Command::new("vspipe").arg("--version")),
        ("mkvmerge", Command::new("mkvmerge").arg("--version")),
        (VMAF, Command::new(VMAF).arg("--version")),
    ]
}

/// The version in what `tool` printed, such as `9.0.2-4`.
#[must_use]
pub fn version_of(tool: &str, printed: &str) -> Option<String> {
    let after = |prefix: &str| {
        printed.lines().find_map(|line| line.trim().strip_prefix(prefix)?.split_ascii_whitespace().next())
    };
    let version = match tool {
        "ffmpeg" => after("ffmpeg version "),
        "ffprobe" => after("ffprobe version "),
        "SvtAv1EncApp" => after("SVT-AV1 "),
        "aomenc" => printed
            .lines()
            .find_map(|line| line.split_once("AOMedia Project AV1 Encoder ")?.1.split_ascii_whitespace().next()),
        "rav1e" => after("rav1e "),
        "av1an" => after("av1an "),
        "vspipe" => after("Core "),
        "mkvmerge" => after("mkvmerge "),
        VMAF => printed.lines().map(str::trim).find(|line| !line.is_empty()),
        _ => None,
    }?;
    let version = version.trim_start_matches(['v', 'R']);
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| version.to_owned())
}

/// The lines of `av1an --version` on VapourSynth's plugins: name, and whether it was found.
#[must_use]
pub fn plugins(printed: &str) -> BTreeMap<String, bool> {
    let line = |line: &str| {
        let (name, found) = line.trim().split_once(':')?;
        let name = name.trim();
        let found = match found.trim() {
            "Found" => true,
            "Not found" => false,
            _ => return None,
        };
        name.contains('.').then(|| (name.to_owned(), found))
    };
    printed.lines().filter_map(line).collect()
}

/// Major, minor and patch number at the start of a version; what is missing is 0.
#[must_use]
pub fn numbers(version: &str) -> Option<(u32, u32, u32)> {
    let number = |part: Option<&str>| {
        let digits: String = part?.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let mut parts = version.split('.');
    Some((number(parts.next())?, number(parts.next()).unwrap_or(0), number(parts.next()).unwrap_or(0)))
}

/// What the tools are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Versions {
    /// Version of each tool that runs.
    pub tools: BTreeMap<String, String>,
    /// VapourSynth's plugins and whether av1an found them.
    pub plugins: BTreeMap<String, bool>,
    /// Why a tool is not in `tools`, in words, by tool.
    pub missing: BTreeMap<String, String>,
}

impl Versions {
    /// Takes in what `tool` printed.
    pub fn record(&mut self, tool: &str, printed: &str) {
        match version_of(tool, printed) {
            Some(version) => drop(self.tools.insert(tool.to_owned(), version)),
            None => self.lacks(tool, format!("{tool} prints no version that can be read")),
        }
        if tool == "av1an" {
            self.plugins = plugins(printed);
        }
    }

    /// Takes in that `tool` can't be used, and why.
    pub fn lacks(&mut self, tool: &str, why: String) {
        self.missing.insert(tool.to_owned(), why);
    }

    /// Whether `encoder` is there.
    #[must_use]
    pub fn has(&self, encoder: Encoder) -> bool {
        self.tools.contains_key(encoder.program())
    }

    /// What makes the tools unusable, in words; empty when they can do the work. One encoder is enough, and only who asks for
    /// VMAF needs its tool.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let an_encoder = Encoder::ALL.into_iter().any(|encoder| self.has(encoder));
        let is_encoder = |tool: &str| Encoder::ALL.into_iter().any(|encoder| encoder.program() == tool);
        let missing = self.missing.iter().filter(|(tool, _)| !(an_encoder && is_encoder(tool)) && *tool != VMAF);
        let mut problems: Vec<String> = missing.map(|(_, why)| why.clone()).collect();
        for tool in ["ffmpeg", "ffprobe"] {
            if let Some(version) = self.tools.get(tool)
                && numbers(version).is_none_or(|(major, ..)| major < FFMPEG_MAJOR)
            {
                problems.push(format!("{tool} is {version}, but {FFMPEG_MAJOR}.0 or newer is needed"));
            }
        }
        if self.tools.contains_key("av1an") && self.plugins.get(LSMAS) != Some(&true) {
            problems.push(
                "VapourSynth's source plugin lsmas was not found by av1an: install vapoursynth-lsmas and register it"
                    .to_owned(),
            );
        }
        problems
    }

    /// What is not as it should be, but works.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let (major, minor, patch) = FFMPEG_WANTED;
        let old = |version: &&String| numbers(version).is_some_and(|found| found < FFMPEG_WANTED);
        let warning = |version| format!("ffmpeg is {version}; {major}.{minor}.{patch} or newer is recommended");
        self.tools.get("ffmpeg").filter(old).map(warning).into_iter().collect()
    }
}

/// The tool that measures VMAF.
pub const VMAF: &str = "vmaf";

/// VapourSynth's name of the source plugin that is needed.
const LSMAS: &str = "systems.innocent.lsmas";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AV1AN: &str = "av1an 0.5.2-unstable (rev VERGEN_IDEMPOTENT_OUTPUT) (Release)\n\n* Compiler\n  rustc 1.97.1 (LLVM 22.1)\n\n\
        * VapourSynth Plugins\n  systems.innocent.lsmas : Found\n  com.vapoursynth.ffms2  : Found\n  com.vapoursynth.dgdecodenv : Not found\n  \
        com.julek.vszip : Found\n\n* Available Encoders\n  SVT-AV1 : SVT-AV1 v4.2.0 (release)\n  x264    : Not found\n";
    const VSPIPE: &str = "VapourSynth Video Processing Library\nCopyright (c) 2012-2026 Fredrik Mellbin\nCore R81\nAPI R4.3\nAPI R3.6\nOptions: -\n";

    fn found() -> Versions {
        let mut versions = Versions::default();
        versions
            .record("ffmpeg", "ffmpeg version 9.0.2-4 Copyright (c) 2000-2026 the FFmpeg developers\nbuilt with gcc");
        versions.record("ffprobe", "ffprobe version 9.0.2-4 Copyright (c) 2007-2026 the FFmpeg developers");
        versions.record("SvtAv1EncApp", "SVT-AV1 v4.2.0 (release)");
        versions.record("aomenc", "Included encoders:\n\n    av1    - AOMedia Project AV1 Encoder v3.14.1 (default)\n");
        versions.record("rav1e", "rav1e 0.8.1 (UNKNOWN) (release)\nunknown rustc version");
        versions.record("av1an", AV1AN);
        versions.record("vspipe", VSPIPE);
        versions.record("mkvmerge", "mkvmerge v103.0 ('The Darkness') 64-bit");
        versions.record("vmaf", "2.3.1\n");
        versions
    }

    #[test]
    fn versions_and_plugins_are_read_from_what_the_tools_print() {
        let versions = found();
        let tools: Vec<(&str, &str)> = versions.tools.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("SvtAv1EncApp", "4.2.0"),
            ("aomenc", "3.14.1"),
            ("av1an", "0.5.2-unstable"),
            ("ffmpeg", "9.0.2-4"),
            ("ffprobe", "9.0.2-4"),
            ("mkvmerge", "103.0"),
            ("rav1e", "0.8.1"),
            ("vmaf", "2.3.1"),
            ("vspipe", "81"),
        ];
        assert_eq!(tools, expected);
        assert_eq!(versions.plugins.len(), 4);
        assert!(versions.plugins["com.julek.vszip"] && !versions.plugins["com.vapoursynth.dgdecodenv"]);
        assert!(versions.problems().is_empty() && versions.warnings().is_empty());
    }

    #[test]
    fn old_or_missing_tools_are_named() {
        let mut old = found();
        old.tools.insert("ffmpeg".to_owned(), "7.1.3-0+deb13u1".to_owned());
        assert_eq!(old.problems(), ["ffmpeg is 7.1.3-0+deb13u1, but 8.0 or newer is needed"]);
        old.tools.insert("ffmpeg".to_owned(), "8.1.1".to_owned());
        assert!(old.problems().is_empty());
        assert_eq!(old.warnings(), ["ffmpeg is 8.1.1; 8.1.2 or newer is recommended"]);
        let mut bare = found();
        bare.record("av1an", &AV1AN.replace("lsmas : Found", "lsmas : Not found"));
        assert!(bare.problems()[0].contains("lsmas"), "{:?}", bare.problems());
        let mut without = found();
        without.tools.remove("SvtAv1EncApp");
        without.record("SvtAv1EncApp", "Segmentation fault");
        assert!(without.problems().is_empty() && !without.has(Encoder::SvtAv1) && without.has(Encoder::Aom));
        without.tools.retain(|tool, _| tool != "aomenc" && tool != "rav1e");
        assert!(without.problems()[0].contains("SvtAv1EncApp"), "{:?}", without.problems());
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*", tool in 0_usize..8) {
            let mut versions = Versions::default();
            versions.record(calls()[tool].0, &text);
            let _ = (versions.problems(), versions.warnings(), numbers(&text));
        }
    }
}
