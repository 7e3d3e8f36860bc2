//! Plans of pictures: what is converted, added, hidden and lost.

use av1_crds::settings::SettingsSections;
use serde_json::json;

use super::*;

fn settings(allow: &[&str]) -> Settings {
    let job: SettingsSections = serde_json::from_value(json!({"streams": {"allow": allow}})).unwrap();
    Settings::resolve(&[&job]).unwrap()
}

fn video(width: u32, height: u32, pix_fmt: &str) -> Stream {
    Stream { width: Some(width), height: Some(height), pix_fmt: Some(pix_fmt.to_owned()), ..Stream::default() }
}

fn planned(video: &Stream, allow: &[&str]) -> Result<Picture, Refusal> {
    plan_picture(video, &settings(allow), None)
}

fn side_data(kind: &str, values: &[(&str, &str)]) -> SideData {
    SideData { kind: kind.to_owned(), values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect() }
}

const TOP: Area = Area { left: 0, top: 20, width: 320, height: 140 };

#[test]
fn scripts_of_each_kind() {
    let script = |video: &Stream, seen| {
        let allow = [reasons::CHROMA_REDUCED, reasons::DEPTH_REDUCED];
        let picture = plan_picture(video, &settings(&allow), seen).unwrap();
        let format = picture.plugin_format().unwrap_or_else(|| "as it is".to_owned());
        format!("{format}: {}\n{}", picture.filters.join("; "), picture.script())
    };
    insta::assert_snapshot!(
        [
            script(&video(320, 180, "yuv420p"), None),
            script(&video(321, 181, "yuv420p"), None),
            script(&video(320, 180, "yuv420p"), Some(TOP)),
            script(&video(320, 180, "yuv420p12le"), None),
            script(&video(320, 180, "yuv422p10le"), None),
            script(&video(321, 181, "yuv444p"), Some(Area { left: 2, top: 20, width: 319, height: 140 })),
        ]
        .join("\n")
    );
}

#[test]
fn an_odd_picture_is_made_even_and_what_is_added_is_hidden() {
    let odd = video(321, 180, "yuv420p");
    let picture = planned(&odd, &[]).unwrap();
    assert_eq!((picture.coded, picture.header().hidden_right, picture.header().hidden_bottom), ((322, 180), 1, 0));
    assert_eq!(picture.filters[0], "padded to 322x180, of which the container hides what was added");
    let expected = picture.expected(&odd, Rational { num: 25, den: 1 }, false);
    assert_eq!((expected.header.width, expected.header.hidden_right), (322, 1));
}

#[test]
fn reductions_need_leave_and_are_told() {
    let cases = [
        (video(320, 180, "yuv422p"), reasons::CHROMA_REDUCED),
        (video(320, 180, "yuv444p10le"), reasons::CHROMA_REDUCED),
        (video(320, 180, "yuv420p12le"), reasons::DEPTH_REDUCED),
        (video(320, 180, "yuva420p"), reasons::ALPHA_LOST),
        (Stream { closed_captions: 1, ..video(320, 180, "yuv420p") }, reasons::CLOSED_CAPTIONS),
        (
            Stream { side_data: vec![side_data("Spherical Mapping", &[])], ..video(320, 180, "yuv420p") },
            reasons::UNSUPPORTED_SIDE_DATA,
        ),
    ];
    for (video, reason) in cases {
        assert_eq!(planned(&video, &[]).unwrap_err().reason, reason);
        assert_eq!(planned(&video, &[reason]).unwrap().dropped.len(), 1, "{reason}");
    }
    for format in ["gbrp", "rgb24", "gray", "pal8", "xyz12le"] {
        let refusal = planned(&video(320, 180, format), &[reasons::CHROMA_REDUCED]).unwrap_err();
        assert_eq!(refusal.reason, reasons::CHROMA_REDUCED, "{format}");
    }
}

#[test]
fn dolby_vision_needs_leave_and_an_hdr10_picture() {
    let dolby = |profile: &str, base: &str, transfer: &str| {
        let record =
            side_data("DOVI configuration record", &[("dv_profile", profile), ("dv_bl_signal_compatibility_id", base)]);
        Stream {
            side_data: vec![record],
            color_transfer: Some(transfer.to_owned()),
            ..video(3840, 2160, "yuv420p10le")
        }
    };
    let may = |video: &Stream| planned(video, &[reasons::DOLBY_VISION]).is_ok();
    for (profile, base) in [("8", "1"), ("7", "6")] {
        let video = dolby(profile, base, "smpte2084");
        assert!(may(&video) && planned(&video, &[]).is_err(), "{profile}.{base}");
    }
    for (profile, base, transfer) in
        [("5", "0", "smpte2084"), ("8", "4", "arib-std-b67"), ("8", "2", "bt709"), ("8", "1", "bt709")]
    {
        assert!(!may(&dolby(profile, base, transfer)), "{profile}.{base} {transfer}");
    }
    let tagged = Stream { codec_tag_string: "dvh1".to_owned(), ..video(3840, 2160, "yuv420p10le") };
    assert!(!may(&tagged));
    let mut riding = video(3840, 2160, "yuv420p10le");
    riding.pictures.side_data = vec![side_data("Dolby Vision RPU Data", &[])];
    assert!(!may(&riding));
}

#[test]
fn dynamic_metadata_that_rides_in_the_pictures_alone_is_seen() {
    let mut riding = video(3840, 2160, "yuv420p10le");
    riding.pictures.side_data = vec![side_data("HDR Dynamic Metadata SMPTE2094-40 (HDR10+)", &[])];
    assert_eq!(planned(&riding, &[]).unwrap_err().reason, reasons::HDR10_PLUS);
    let dropped = planned(&riding, &[reasons::HDR10_PLUS]).unwrap().dropped;
    assert_eq!(
        dropped,
        ["the video has dynamic HDR metadata (HDR Dynamic Metadata SMPTE2094-40 (HDR10+)), which would be lost"]
    );
}

#[test]
fn sizes_matrices_colours_and_partial_metadata_that_cannot_be_kept_are_refused() {
    let reason = |video: Stream| planned(&video, &["UnsupportedSideData"]).unwrap_err().reason;
    assert_eq!(reason(video(62, 180, "yuv420p")), reasons::UNSUPPORTED_SIZE);
    assert_eq!(reason(video(16_386, 180, "yuv420p")), reasons::UNSUPPORTED_SIZE);
    let plain = video(320, 180, "yuv420p");
    let odd_matrix = vec![side_data(MATRIX, &[("displaymatrix", "\n0: 1 2 3\n")])];
    assert_eq!(reason(Stream { side_data: odd_matrix, ..plain.clone() }), reasons::UNSUPPORTED_SIDE_DATA);
    let partial = vec![side_data(crate::light::MASTERING, &[("red_x", "1/2")])];
    assert_eq!(reason(Stream { side_data: partial, ..plain.clone() }), reasons::UNSUPPORTED_SIDE_DATA);
    let colours = Stream { color_space: Some("ipt-c2".to_owned()), ..plain };
    assert_eq!(reason(colours), reasons::UNSUPPORTED_SIDE_DATA);
}

#[test]
fn an_odd_picture_is_padded_where_chroma_has_its_full_size() {
    let filters = planned(&video(321, 181, "yuv420p"), &[]).unwrap().ffmpeg_filters();
    assert!(
        filters.starts_with("format=yuv444p10le,pad=322:182:0:0,fillborders=right=1:bottom=1:mode=smear,scale="),
        "{filters}"
    );
    let deep = planned(&video(321, 181, "yuv420p12le"), &[reasons::DEPTH_REDUCED]).unwrap().ffmpeg_filters();
    assert!(deep.starts_with("format=yuv444p12le,pad="), "{deep}");
    assert_eq!(planned(&video(320, 180, "yuv420p"), &[]).unwrap().ffmpeg_filters(), "");
}

#[test]
fn depth_and_sampling_are_read_from_names() {
    let depths = ["yuv420p", "yuv420p10le", "p010le", "p016be", "yuv422p12be", "nv12", "yuv420p9le"].map(depth);
    assert_eq!(depths, [8, 10, 10, 16, 12, 8, 9]);
    assert_eq!(["yuvj420p", "p010le", "yuva420p10le"].map(sampling), [Sampling::Halved; 3]);
    assert_eq!(["yuv444p16le", "yuvj422p", "yuv411p", "yuv440p"].map(sampling), [Sampling::Other; 4]);
    assert_eq!(["gbrap", "gray10le", "xyz12le", ""].map(sampling), [Sampling::Unknown; 4]);
}
