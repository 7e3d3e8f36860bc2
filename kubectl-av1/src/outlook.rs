//! What is expected of a library's next encodes: its settings, what its encodes so far came to, and the pods that they get. Pure.

use av1_crds::settings::Settings;
use av1_crds::wire::VideoFigures;
use av1_crds::{EncodeJob, EncodeJobStatus, MediaLibrary, Phase};
use av1_media::encoders::Encoder;
use av1_media::predict::{Done, Experience, Prediction, Source};
use av1_media::profile::{Quality, quality};
use jiff::Timestamp;
use kube::ResourceExt;

/// What predictions are made from.
#[derive(Debug, Clone)]
pub(crate) struct Outlook {
    pub(crate) settings: Settings,
    pub(crate) encoder: Encoder,
    /// Whole CPUs of an encode pod, as far as is known.
    pub(crate) cpus: Option<u32>,
    /// Encodes at once.
    pub(crate) slots: u32,
    experience: Experience,
}

impl Outlook {
    /// Of `library`, whose jobs are among `jobs`. Its settings are those that the catalog told: what the chart adds to the library's
    /// own is known there; without them the library's own are taken. The error is a sentence about a setting.
    pub(crate) fn new(library: &MediaLibrary, told: Option<Settings>, jobs: &[EncodeJob]) -> Result<Self, String> {
        let settings = match told {
            Some(settings) => settings,
            None => Settings::resolve(&[&library.spec.sections()]).map_err(|error| error.to_string())?,
        };
        let of_library = |job: &&EncodeJob| {
            job.spec.library_ref.name == library.name_any() && job.namespace() == library.namespace()
        };
        let done: Vec<Done> = jobs.iter().filter(of_library).filter_map(done).collect();
        let placement = library.status.as_ref().and_then(|status| status.placement.as_ref());
        Ok(Self {
            encoder: Encoder::asked(settings.encoder).unwrap_or(Encoder::SvtAv1),
            settings,
            cpus: placement.and_then(|placement| placement.cpus_per_job),
            slots: slots(library),
            experience: Experience::of(&done),
        })
    }

    /// Rate factor and preset of a source; the error is a sentence about a setting.
    pub(crate) fn quality(&self, source: &Source) -> Result<Quality, String> {
        let video = &source.video;
        quality(&self.settings, self.encoder, video.width, video.height, source.bits_per_pixel())
            .map_err(|error| error.to_string())
    }

    /// What is expected of an encode.
    pub(crate) fn predict(&self, source: &Source, crf: u32, preset: u32) -> Prediction {
        self.experience.predict(source, crf, preset, self.cpus.unwrap_or(1))
    }

    /// What sizes and times are taken from, in words.
    pub(crate) fn basis(&self) -> String {
        let from = |number: usize| match number {
            0 => "a rule of thumb, for none of this library's encodes can tell yet".to_owned(),
            1 => "one encode of this library".to_owned(),
            number => format!("{number} encodes of this library"),
        };
        let (sizes, speeds) = (from(self.experience.sizes()), from(self.experience.speeds()));
        if sizes == speeds {
            format!("sizes and times from {sizes}")
        } else {
            format!("sizes from {sizes}; times from {speeds}")
        }
    }
}

/// Encodes at once.
pub(crate) fn slots(library: &MediaLibrary) -> u32 {
    library.spec.concurrency.as_ref().and_then(|all| all.max_jobs).unwrap_or(1).max(1)
}

/// A time of a status.
pub(crate) fn time(text: &Option<String>) -> Option<Timestamp> {
    text.as_deref()?.parse().ok()
}

/// Seconds from the start of an encode with an output to its end; none of a job that was paused, lost or tried again: there the wall
/// clock tells nothing.
pub(crate) fn seconds_taken(status: &EncodeJobStatus) -> Option<f64> {
    let ended = [Phase::Succeeded, Phase::Rejected].contains(&status.phase);
    let undisturbed = status.run == 1 && status.failures == 0 && status.lost == 0;
    let took = time(&status.completion_time)?.duration_since(time(&status.start_time)?);
    (ended && undisturbed).then(|| took.as_secs_f64())
}

/// What a job came to, when there was an output.
fn done(job: &EncodeJob) -> Option<Done> {
    let status = job.status.as_ref()?;
    let (gate, media, plan) = (status.size_gate.as_ref()?, status.media.as_ref()?, status.plan.as_ref()?);
    let millis = media.duration_seconds.parse::<f64>().ok().map_or(0.0, |seconds| seconds * 1_000.0);
    Some(Done {
        source: Source {
            size: gate.input_bytes,
            video: VideoFigures {
                codec: media.codec.clone(),
                width: media.width,
                height: media.height,
                frame_rate: media.frame_rate.clone(),
                duration_millis: millis as u64,
            },
        },
        crf: plan.crf,
        preset: plan.preset,
        output: gate.output_bytes,
        seconds: seconds_taken(status),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(crate) fn library(spec: Value, status: Value) -> MediaLibrary {
        let mut all = json!({"volume": {"persistentVolumeClaim": {"claimName": "media"}}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
            "metadata": {"name": "films", "namespace": "media"}, "spec": all, "status": status}))
        .unwrap()
    }

    /// An encode of two hours of 1080p that made 10 GB into 3 GB within an hour.
    pub(crate) fn encoded(status: Value) -> EncodeJob {
        let mut all = json!({"phase": "Succeeded", "run": 1, "startTime": "2026-01-02T03:00:00Z", "completionTime": "2026-01-02T04:00:00Z",
            "media": {"codec": "h264", "width": 1920, "height": 1080, "frameRate": "24/1", "durationSeconds": "7200.5"},
            "plan": {"crf": 23, "preset": 4},
            "sizeGate": {"inputBytes": 10_000_000_000_u64, "outputBytes": 3_000_000_000_u64, "percent": 30, "maxPercent": 90, "passed": true}});
        all.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "films-1", "namespace": "media"},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}}, "status": all}))
        .unwrap()
    }

    #[test]
    fn encodes_of_the_library_teach_and_times_of_those_that_were_disturbed_do_not() {
        let films = library(json!({}), json!({}));
        let mut other = encoded(json!({}));
        other.spec.library_ref.name = "series".to_owned();
        let jobs = [encoded(json!({})), encoded(json!({"run": 2})), encoded(json!({"sizeGate": null})), other];
        let outlook = Outlook::new(&films, None, &jobs).unwrap();
        assert_eq!((outlook.experience.sizes(), outlook.experience.speeds()), (2, 1));
        assert_eq!(outlook.basis(), "sizes from 2 encodes of this library; times from one encode of this library");
        let source = done(&jobs[0]).unwrap().source;
        assert_eq!(outlook.predict(&source, 23, 4).seconds, Some(3_600));
        assert_eq!(
            Outlook::new(&films, None, &[]).unwrap().basis(),
            "sizes and times from a rule of thumb, for none of this library's encodes can tell yet"
        );
    }

    #[test]
    fn the_librarys_settings_decide_rate_factor_and_preset() {
        let films = library(
            json!({"encode": {"overrides": {"crf": 30}}, "concurrency": {"maxJobs": 3}}),
            json!({"placement": {"cpusPerJob": 8}}),
        );
        let outlook = Outlook::new(&films, None, &[]).unwrap();
        assert_eq!((outlook.slots, outlook.cpus), (3, Some(8)));
        let video = VideoFigures { width: 3840, height: 1600, ..VideoFigures::default() };
        let found = outlook.quality(&Source { size: 1, video }).unwrap();
        assert_eq!((found.crf, found.preset), (30, 3));
        let told = Settings { max_percent: 70, ..outlook.settings };
        assert_eq!(Outlook::new(&films, Some(told), &[]).unwrap().settings.max_percent, 70);
        let wrong = library(json!({"encode": {"overrides": {"preset": 40}}}), json!({}));
        let error = Outlook::new(&wrong, None, &[]).unwrap().quality(&Source::default()).unwrap_err();
        assert!(error.contains("encode.overrides.preset is 40"), "{error}");
    }
}
