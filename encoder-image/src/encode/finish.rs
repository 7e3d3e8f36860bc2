//! From the joined video to the output that may leave the work folder: mux, verify, size gate, hash.
//!
//! May: write in the work folder. Must never: let an output pass that failed a check.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use av1_crds::figures;
use av1_crds::paths::OUTPUT_STEM;
use av1_crds::reasons;
use av1_crds::wire::{EncodeVerdict, OutputFile, Stage};
use av1_media::encoders::Encoder;
use av1_media::frames::Decoded;
use av1_media::light::Light;
use av1_media::sampling::Sampling;
use av1_media::size_gate::size_gate;
use av1_media::streams::Container;
use sha2::{Digest, Sha256};

use super::Run;
use super::files::remove;
use super::mux::{MuxError, MuxInput, mux};
use super::outcome::Ended;
use super::planning::Planned;
use super::source::Source;
use super::verify::{VerifyError, VerifyInput, verify};
use crate::reread;

impl Run<'_> {
    /// Muxes, verifies, judges the size, and hashes.
    pub(super) fn finish(
        &mut self,
        source: &Source,
        planned: &Planned,
        stream_light: Option<Light>,
    ) -> Result<(), Ended> {
        let Planned { decoded, picture, .. } = planned;
        let name = format!("{OUTPUT_STEM}.{}", extension(&self.output_path(source), source.streams.container));
        let output = self.files.left.join(&name);
        self.clear_stills().map_err(|e| Ended::io("removing stills of an earlier run", &self.files.left, &e))?;
        self.stage(Stage::Muxing);
        self.mux(source, decoded, &output)?;
        self.stage(Stage::Verifying);
        let video = picture.expected(&source.video, decoded.rate, decoded.is_variable);
        let input = VerifyInput {
            source: &source.path,
            source_probe: &source.probe,
            streams: &source.streams,
            frame_times: &decoded.times,
            output: &output,
            settings: &self.task.settings,
            video: &video,
            stream_light,
            sampling: Sampling::asked(self.task.settings.decode),
        };
        self.verify(&input)?;
        source.check_unchanged()?;
        let io = |e| Ended::io("reading the output", &self.files.left, &e);
        let size = std::fs::metadata(&output).map_err(io)?.len();
        let gate = size_gate(source.identity.size, size, self.task.settings.max_percent);
        let passed = gate.passed;
        self.size_gate = Some(gate);
        remove(&[&self.files.video]).map_err(io)?;
        if !passed {
            remove(&[&output]).map_err(io)?;
            return Err(Ended::Verdict {
                verdict: EncodeVerdict::Rejected,
                reason: reasons::NOT_SMALLER.to_owned(),
                message: self.too_large(),
            });
        }
        let measured = self.quality(source, planned, &output);
        let rejected = matches!(measured, Err(Ended::Verdict { verdict: EncodeVerdict::Rejected, .. }));
        if measured.is_ok() || rejected {
            self.stills(source, planned, &output);
        }
        if rejected {
            remove(&[&output]).map_err(|e| Ended::io("removing the output", &self.files.left, &e))?;
        }
        measured?;
        let io = |e| Ended::io("reading the output", &self.files.left, &e);
        let sha256 = hash(&output).map_err(io)?;
        self.output = Some(OutputFile { name, size, sha256, target: source.streams.target(&self.task.path) });
        Ok(())
    }

    /// Path below the library's root that the output is to have.
    pub(super) fn output_path(&self, source: &Source) -> String {
        source.streams.target(&self.task.path).unwrap_or_else(|| self.task.path.clone())
    }

    fn mux(&mut self, source: &Source, decoded: &Decoded, output: &Path) -> Result<(), Ended> {
        let shown = self.board.read().plan.unwrap_or_default();
        let encoder = Encoder::named(&shown.encoder).map_or("", Encoder::title);
        let settings = format!("{encoder} {} {}", shown.encoder_version, shown.parameters);
        let input = MuxInput {
            source: &source.path,
            probe: &source.probe,
            streams: &source.streams,
            video: &self.files.video,
            frame_rate: (!decoded.is_variable).then_some(decoded.rate),
            limit: None,
            encoder_settings: &settings,
            output,
        };
        let command = mux(&input).map_err(|error| match &error {
            MuxError::Tool(tool) => Ended::tool("putting video and kept streams together", &self.files.left, tool),
            MuxError::Source(source) => Ended::io("reading the source for its layout", &self.files.work, source),
            MuxError::Output(source) => {
                Ended::io("writing what describes the tracks of the output", &self.files.left, source)
            }
        })?;
        self.commands.insert("mux".to_owned(), command.to_strings());
        Ok(())
    }

    fn verify(&mut self, input: &VerifyInput<'_>) -> Result<(), Ended> {
        let checks = verify(input).map_err(|error| match &error {
            VerifyError::Tool { source, .. } => Ended::tool("verifying the output", &self.files.work, source),
            other => Ended::retry(reasons::ENCODE_FAILED, other.to_string()),
        })?;
        self.checks.extend(checks);
        let failed: Vec<String> = self
            .checks
            .iter()
            .filter(|check| !check.passed)
            .map(|check| format!("{}: {} instead of {}", check.name, check.measured, check.expected))
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        reread::whole(input.output).map_err(|error| Ended::unread("the output", &failed.join("; "), &error))?;
        let message =
            format!("{} of {} checks of the output failed: {}", failed.len(), self.checks.len(), failed.join("; "));
        Err(Ended::Verdict { verdict: EncodeVerdict::Failed, reason: reasons::VERIFICATION_FAILED.to_owned(), message })
    }

    fn too_large(&self) -> String {
        let gate = self.size_gate.clone().unwrap_or_default();
        format!(
            "{} would become {}, {} % of the source; less than {} % is wanted",
            figures::size(gate.input_bytes),
            figures::size(gate.output_bytes),
            gate.percent,
            gate.max_percent
        )
    }
}

/// Extension of the output: the source's, when it is a plain one.
pub(super) fn extension(path: &str, container: Container) -> String {
    let own = Path::new(path).extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
    let plain =
        own.filter(|extension| extension.len() <= 8 && extension.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let usual = match container {
        Container::Matroska => "mkv",
        Container::WebM => "webm",
        Container::Mp4 => "mp4",
    };
    plain.unwrap_or_else(|| usual.to_owned())
}

/// SHA-256 of a file, after it was made safe against a crash of the node.
pub(super) fn hash(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}
