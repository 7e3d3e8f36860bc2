"""The media matrix: one row a file. How to add one is in docs/testing.md.

A row: name, file name, how it is made (a shell script that writes "$OUT", with the words and files of common.sh), what is
expected ("Encoded", "Rejected", or a reason for which the file is left alone), and facts that differ from the usual:

settings   of the encode task, over those of inside.py
kept       source streams that are in the output besides the video; usually all audio, subtitles and attachments
plan       facts of the report's plan
filtered   source streams that go through a bitstream filter, and are compared decoded
out        facts of the output: width, height, frames, and `skip`, checks that do not apply
deviates   the reason that the product gives while it does not yet do what is expected, and why that is expected
"""

X264 = "-c:v libx264 -preset veryfast -crf 4 -pix_fmt yuv420p"
X265 = "-c:v libx265 -preset ultrafast -crf 6 -x265-params log-level=error:pools=none:frame-threads=1"
HDR10 = ("hdr10=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:"
         "master-display='G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)':max-cll=1000,400")
PQ = "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv"
BASE = "-i base.mkv"
BOTH = "-i base.mkv -i sound.flac -map 0:v -map 1:a"

CASES = []


def case(name, file, make, expected="Encoded", **facts):
    CASES.append({"name": name, "file": file, "make": make, "expected": expected, **facts})


# Codecs
case("h264", "h264.mkv", f"ff {BOTH} {X264} -c:a aac $OUT", plan={"engine": "Av1an", "crf": 24})
case("h264 in mp4", "h264.mp4", f"ff {BOTH} {X264} -c:a aac -movflags +faststart $OUT")
case("h264 in m4v", "h264.m4v", f"ff {BOTH} {X264} -c:a aac -f mp4 $OUT")
case("h264 10 bit", "h264-10.mkv", f"ff {BASE} {X264} -pix_fmt yuv420p10le $OUT")
case("hevc", "hevc.mkv", f"ff {BOTH} {X265} -pix_fmt yuv420p -c:a ac3 $OUT")
case("hevc 10 bit", "hevc-10.mkv", f"ff {BASE} {X265} -pix_fmt yuv420p10le $OUT")
case("hevc in mp4", "hevc.mp4", f"ff {BOTH} {X265} -pix_fmt yuv420p -tag:v hvc1 -c:a aac $OUT")
case("mpeg2", "mpeg2.mkv", f"ff {BASE} -c:v mpeg2video -q:v 1 $OUT")
case("vp8", "vp8.mkv", f"ff {BASE} -c:v libvpx -crf 4 -b:v 6M -deadline realtime $OUT")
case("vp9", "vp9.mkv", f"ff {BASE} -c:v libvpx-vp9 -crf 4 -b:v 0 -deadline realtime -cpu-used 8 $OUT")
case("vp9 in webm", "vp9.webm", f"ff {BOTH} -c:v libvpx-vp9 -crf 4 -b:v 0 -deadline realtime -cpu-used 8 -c:a libopus $OUT")
case("mpeg4", "mpeg4.mkv", f"ff {BASE} -c:v mpeg4 -q:v 1 $OUT")
case("theora", "theora.mkv", f"ff {BASE} -c:v libtheora -q:v 10 $OUT")
case("mjpeg", "mjpeg.mkv", f"ff {BASE} -c:v mjpeg -q:v 1 -pix_fmt yuvj420p $OUT")
case("ffv1", "ffv1.mkv", f"ff {BASE} -c:v ffv1 $OUT", "Encoded")
case("msmpeg4", "msmpeg4.avi", f"ff {BOTH} -c:v msmpeg4 -q:v 1 -c:a libmp3lame $OUT", "ContainerChange")
case("wmv", "wmv.wmv", f"ff {BOTH} -c:v wmv2 -q:v 1 -c:a wmav2 $OUT", "ContainerChange")
case("av1 already", "av1.mkv", f"ff {BASE} -c:v libsvtav1 -preset 12 -crf 30 $OUT", "AlreadyAv1")
case("av1 already in mp4", "av1.mp4", f"ff {BASE} -c:v libsvtav1 -preset 12 -crf 30 $OUT", "AlreadyAv1")

# Rates and times
for rate in ("24000/1001", "25", "30000/1001", "50", "60000/1001", "12"):
    case(f"{rate} frames/s", f"rate-{rate.replace('/', '-')}.mkv", f"ff -r {rate} {BASE} {X264} $OUT")
case("29.97 frames/s in mp4", "rate.mp4", f"ff -r 30000/1001 {BASE} {X264} $OUT")
case("variable rate", "vfr.mkv", f"ff {BASE} -vf \"settb=1/1000,setpts='N*40+10*mod(N,3)'\" -fps_mode passthrough -enc_time_base 1/1000 {X264} $OUT")
case("variable rate in mp4", "vfr.mp4", f"ff {BOTH} -vf \"settb=1/90000,setpts='N*3000+900*mod(N,4)'\" -fps_mode passthrough -enc_time_base 1/90000 {X264} -c:a aac $OUT")
case("a gap of a second", "gap.mkv", f"ff {BASE} -vf \"settb=1/1000,setpts='N*1000/24+if(gte(N,24),1000,0)'\" -fps_mode passthrough -enc_time_base 1/1000 {X264} $OUT")
case("late audio", "late-audio.mp4", f"ff -i base.mkv -itsoffset 0.08 -i sound.flac {X264} -c:a aac $OUT")
case("late video", "late-video.mkv", f"ff -itsoffset 0.5 -i base.mkv -i sound.flac -map 0:v -map 1:a {X264} -c:a aac $OUT")
case("edit list cuts into a group", "edit.mp4", f"ff {BOTH} {X264} -bf 2 -g 24 -c:a aac whole.mp4; ff -ss 0.4 -i whole.mp4 -map 0 -c copy $OUT",
     out={"skip": ["pictures"]})
case("starts at ten hours", "offset.mkv", f"ff {BOTH} {X264} -c:a aac -output_ts_offset 36000 $OUT")
case("negative times", "negative.mkv", f"ff {BOTH} {X264} -bf 2 -c:a aac whole.mkv; mux -o $OUT --sync 1:-30 whole.mkv")
case("no cues, no duration", "live.mkv", f"ff {BOTH} {X264} -c:a aac -f matroska -live 1 - >$OUT")
case("fragmented mp4", "fragments.mp4", f"ff {BOTH} {X264} -g 12 -c:a aac -movflags +frag_keyframe+empty_moov $OUT")

# Sizes, shapes, rotation
case("odd width", "odd-width.mkv", f"ff {BASE} -vf scale=319:180 -c:v libvpx-vp9 -crf 4 -b:v 0 -deadline realtime -cpu-used 8 $OUT")
case("odd height", "odd-height.mkv", f"ff {BASE} -vf scale=320:179 -c:v libvpx-vp9 -crf 4 -b:v 0 -deadline realtime -cpu-used 8 $OUT")
case("not a multiple of eight", "mod2.mkv", f"ff {BASE} -vf scale=306:174 {X264} $OUT")
case("portrait", "portrait.mp4", f"ff {BASE} -vf scale=100:180,setsar=1 {X264} $OUT")
case("very wide", "wide.mkv", f"ff {BASE} -vf crop=320:64 {X264} $OUT")
case("very small", "small.mkv", f"ff {BASE} -vf scale=48:48 {X264} $OUT", "UnsupportedSize")
case("anamorphic", "anamorphic.mkv", f"ff {BASE} -vf scale=240:180,setsar=4/3 {X264} $OUT", out={"sar": "4:3"})
case("anamorphic in mp4", "anamorphic.mp4", f"ff {BASE} -vf scale=240:180,setsar=64/45 {X264} $OUT", out={"sar": "64:45"})
case("rotated", "rotated.mp4", f"ff {BASE} {X264} whole.mp4; ff -display_rotation:v 90 -i whole.mp4 -c copy $OUT", out={"rotation": 90})
case("rotated in mkv", "rotated.mkv", f"ff {BASE} {X264} whole.mkv; mux -o $OUT --projection-type 0:0 --projection-pose-roll 0:90 whole.mkv", 
     out={"rotation": 90})
case("letterbox", "letterbox.mkv", f"ff {BASE} -vf scale=320:136,pad=320:180:0:22,setsar=1 {X264} $OUT")
case("cropped by the container", "cropping.mkv", f"ff {BASE} {X264} whole.mkv; mux -o $OUT --cropping 0:0,20,0,20 whole.mkv", "UnsupportedSideData")
case("resolution changes", "two-sizes.mkv", f"ff {BASE} {X264} -bf 0 -x264-params repeat-headers=1 a.h264; ff {BASE} -vf scale=160:90 {X264} -bf 0 -x264-params repeat-headers=1 b.h264; "
     "cat a.h264 b.h264 >ab.h264; ff -r 24 -i ab.h264 -c copy $OUT",
     out={"skip": ["pictures", "frame times"]})

# Colour, HDR, chroma, depth
case("BT.709", "bt709.mkv", f"ff {BASE} {X264} -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv $OUT")
case("full range", "full.mkv", f"ff {BASE} -vf scale=out_range=full {X264} -color_range pc -color_primaries bt709 -color_trc bt709 -colorspace bt709 $OUT")
case("BT.601", "bt601.mp4", f"ff {BASE} {X264} -color_primaries smpte170m -color_trc smpte170m -colorspace smpte170m $OUT")
case("BT.2020 SDR", "bt2020.mkv", f"ff {BASE} {X265}:colorprim=bt2020:transfer=bt2020-10:colormatrix=bt2020nc -pix_fmt yuv420p10le $OUT")
case("chroma top left", "topleft.mkv", f"ff {BASE} {X265}:chromaloc=2 -chroma_sample_location topleft -pix_fmt yuv420p10le $OUT")
case("HDR10", "hdr10.mkv", f"ff {BASE} {X265}:{HDR10} {PQ} -pix_fmt yuv420p10le $OUT")
case("HDR10 in mp4", "hdr10.mp4", f"ff {BASE} {X265}:{HDR10} {PQ} -pix_fmt yuv420p10le -tag:v hvc1 $OUT")
case("HDR10 told by the container", "hdr10-container.mkv", f"ff {BASE} {X265} -pix_fmt yuv420p10le whole.mkv; mux -o $OUT --color-primaries 0:9 "
     "--color-transfer-characteristics 0:16 --color-matrix-coefficients 0:9 --color-range 0:1 --max-content-light 0:1000 --max-frame-light 0:400 "
     "--chromaticity-coordinates 0:0.68,0.32,0.265,0.69,0.15,0.06 --white-color-coordinates 0:0.3127,0.329 --max-luminance 0:1000 --min-luminance 0:0.0001 whole.mkv")
case("PQ without metadata", "pq.mkv", f"ff {BASE} {X265}:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc {PQ} -pix_fmt yuv420p10le $OUT")
case("HLG", "hlg.mkv", f"ff {BASE} {X265}:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc -color_primaries bt2020 -color_trc arib-std-b67 "
     "-colorspace bt2020nc -pix_fmt yuv420p10le $OUT")
case("HDR10+", "hdr10plus.mkv", f"ff {BASE} {X265}:{HDR10}:aud=1 {PQ} -pix_fmt yuv420p10le -f hevc a.hevc; craft hdr10plus a.hevc b.hevc; mux -o $OUT --default-duration 0:24p b.hevc", "Hdr10Plus")
case("Dolby Vision", "dv.mp4", f"ff {BASE} {X265} -pix_fmt yuv420p10le -tag:v dvh1 -strict unofficial $OUT", "DolbyVision")
case("4:2:2", "422.mkv", f"ff {BASE} -c:v libx264 -preset veryfast -crf 4 -pix_fmt yuv422p $OUT", "ChromaReduced")
case("4:4:4", "444.mkv", f"ff {BASE} -c:v libx264 -preset veryfast -crf 4 -pix_fmt yuv444p $OUT", "ChromaReduced")
case("RGB", "rgb.mkv", f"ff {BASE} -c:v libx264rgb -preset veryfast -crf 4 $OUT", "ChromaReduced")
case("12 bit", "12bit.mkv", f"ff {BASE} {X265} -pix_fmt yuv420p12le $OUT", "DepthReduced")
case("alpha", "alpha.mkv", f"ff {BASE} -vf format=yuva420p -c:v libvpx-vp9 -crf 4 -b:v 0 -deadline realtime -cpu-used 8 -pix_fmt yuva420p $OUT", "AlphaLost")
case("stereo", "stereo.mkv", f"ff {BASE} {X264} whole.mkv; mux -o $OUT --stereo-mode 0:1 whole.mkv", "UnsupportedSideData")
case("spherical", "spherical.mkv", f"ff {BASE} {X264} whole.mkv; mux -o $OUT --projection-type 0:1 whole.mkv", "UnsupportedSideData")

# Interlaced
WOVEN = "-vf tinterlace=interleave_top,setfield=tff"
case("interlaced mpeg2", "interlaced.mkv", f"ff -r 48 {BASE} {WOVEN} -c:v mpeg2video -q:v 1 -flags +ilme+ildct $OUT", "Interlaced")
case("interlaced h264", "interlaced-h264.mkv", f"ff -r 48 {BASE} {WOVEN} {X264} -flags +ilme+ildct -x264-params tff=1 $OUT", "Interlaced")
case("interlaced but not marked", "combed.mkv", f"ff -r 48 {BASE} -vf tinterlace=interleave_top,setfield=prog {X264} $OUT", "Interlaced")
case("telecined", "telecined.mkv", f"ff {BASE} -vf telecine,setfield=prog {X264} $OUT", "Interlaced")

BWDIF = {"settings": {"deinterlace": "Bwdif"}, "plan": {"engine": "Ffmpeg"}, "out": {"skip": ["pictures"]}}
case("interlaced mpeg2, made whole", "whole.mkv", f"ff -r 48 {BASE} {WOVEN} -c:v mpeg2video -q:v 1 -flags +ilme+ildct $OUT", **BWDIF)
case("interlaced h264, bottom first, made whole", "whole-h264.mkv", f"ff -r 48 {BASE} -vf tinterlace=interleave_bottom,setfield=bff {X264} -flags +ilme+ildct -x264-params bff=1 $OUT", **BWDIF)

PRORES = f"ff -r 48 {BASE} {WOVEN} -c:v prores_ks -flags +ilme+ildct $OUT"
case("interlaced prores", "interlaced-prores.mkv", PRORES, "Interlaced")
case("interlaced prores, made whole", "whole-prores.mkv", PRORES, settings={"deinterlace": "Bwdif", "allow": ["ChromaReduced"]},
     plan=BWDIF["plan"], out=BWDIF["out"])
case("interlaced hevc", "interlaced-hevc.mkv", f"ff -r 48 {BASE} {WOVEN} {X265}:interlace=tff -pix_fmt yuv420p $OUT", "Interlaced",
     settings={"deinterlace": "Bwdif"})

# Containers
case("mpeg-ts", "broadcast.ts", f"ff {BOTH} {X264} -c:a aac $OUT", "ContainerChange")
case("m2ts", "disc.m2ts", f"ff {BOTH} {X264} -c:a ac3 -f mpegts -mpegts_m2ts_mode 1 $OUT", "ContainerChange")
case("mpeg-ps", "old.mpg", f"ff {BOTH} -c:v mpeg2video -q:v 1 -r 25 -c:a mp2 $OUT", "ContainerChange")
# The AV1 binding is for ISO brands alone.
case("quicktime", "camera.mov", f"ff {BOTH} {X264} -c:a pcm_s16le $OUT", "ContainerChange")
case("avi", "old.avi", f"ff {BOTH} {X264} -bf 0 -c:a libmp3lame $OUT", "ContainerChange")
case("mp4 named mkv", "mp4.mkv", f"ff {BOTH} {X264} -c:a aac -f mp4 $OUT", "ContainerChange")
case("mkv named mp4", "mkv.mp4", f"ff {BOTH} {X264} -c:a aac -f matroska $OUT", "ContainerChange")
case("flv named mkv", "flv.mkv", f"ff {BOTH} {X264} -c:a aac -f flv $OUT", "ContainerChange")
case("3gp named mp4", "3gp.mp4", f"ff {BOTH} {X264} -c:a aac -f 3gp $OUT", "ContainerChange")

# Sound
MANY = "aac ac3 eac3 flac libopus libvorbis libmp3lame mp2 pcm_s16le pcm_s24le dca truehd alac"
case("thirteen kinds of sound", "sounds.mkv", f"ff -i base.mkv -i sound.flac -map 0:v {'-map 1:a ' * 13} {X264} -strict -2 "
     + " ".join(f"-c:a:{n} {codec}" for n, codec in enumerate(MANY.split())) + " $OUT")
case("seven kinds of sound in mp4", "sounds.mp4", f"ff -i base.mkv -i sound.flac -map 0:v {'-map 1:a ' * 7} {X264} -strict -2 "
     "-c:a:0 aac -c:a:1 ac3 -c:a:2 eac3 -c:a:3 flac -c:a:4 libopus -c:a:5 libmp3lame -c:a:6 alac $OUT")
case("5.1 and 7.1", "surround.mkv", f"ff -i base.mkv -i sound51.flac -i sound71.flac -map 0:v -map 1:a -map 2:a {X264} -c:a:0 eac3 -c:a:1 flac $OUT")
case("windows media sound", "wma.mkv", f"ff {BOTH} {X264} -c:a wmav2 $OUT")
case("no sound", "silent.mp4", f"ff {BASE} {X264} $OUT")
case("sound longer than the video", "longer.mkv", f"ff -i base.mkv -stream_loop 2 -i sound.flac -map 0:v -map 1:a {X264} -c:a aac $OUT")
case("a dropped language", "dropped.mkv", f"ff -i base.mkv -i sound.flac -i eng.srt -i rus.srt -map 0:v -map 1:a -map 1:a -map 2 -map 3 {X264} -c:a ac3 -c:s srt "
     "-metadata:s:a:0 language=eng -metadata:s:a:1 language=rus -metadata:s:s:0 language=eng -metadata:s:s:1 language=rus -disposition:a:1 0 $OUT",
     kept=[1, 3], plan={"dropped": 2})
case("original language would go", "original.mkv", f"ff {BOTH} {X264} -c:a ac3 -metadata:s:a:0 language=rus -disposition:a:0 default $OUT", "WouldDropOriginalLanguage")

# Subtitles, pictures, attachments, chapters, dispositions
case("text subtitles", "texts.mkv", f"ff -i base.mkv -i sound.flac -i eng.vtt -map 0:v -map 1:a -map 2 {X264} -c:a aac -c:s webvtt whole.mkv; mux -o $OUT whole.mkv --language 0:eng --track-name 0:Plain eng.srt eng.ass")
# FFmpeg 9.0 does not know this kind of track.
case("WebVTT as mkvmerge writes it", "webvtt.mkv", f"ff {BASE} {X264} whole.mkv; mux -o $OUT whole.mkv eng.vtt", "UnsupportedStream")
case("picture subtitles", "pictures.mkv", f"ff {BOTH} {X264} -c:a aac whole.mkv; mux -o $OUT whole.mkv --language 0:eng pictures.sup")
case("dvd subtitles", "dvdsub.mkv", f"ff -i base.mkv -i pictures.sup -map 0:v -map 1:s {X264} -c:s dvdsub -s:s 320x180 $OUT")
case("subtitles in mp4", "texts.mp4", f"ff -i base.mkv -i sound.flac -i eng.srt -map 0:v -map 1:a -map 2 {X264} -c:a aac -c:s mov_text -metadata:s:s:0 language=eng $OUT")
case("forced, for the deaf, comments", "dispositions.mkv", f"ff -i base.mkv -i sound.flac -i eng.srt -map 0:v -map 1:a -map 1:a -map 2 -map 2 {X264} -c:a aac -c:s srt "
     "-disposition:a:0 default+original -disposition:a:1 comment -disposition:s:0 forced+default -disposition:s:1 hearing_impaired $OUT")
case("cover in mkv", "cover.mkv", f"ff {BOTH} {X264} -c:a aac whole.mkv; mux -o $OUT --attachment-mime-type image/jpeg --attachment-name cover.jpg --attach-file cover.jpg whole.mkv",
     kept=[1], plan={"dropped": 1})
case("cover in mp4", "cover.mp4", f"ff -i base.mkv -i sound.flac -i cover.jpg -map 0:v -map 1:a -map 2:v {X264} -c:v:1 copy -c:a aac -disposition:v:1 attached_pic $OUT",
     kept=[1], plan={"dropped": 1})
case("fonts", "fonts.mkv", f"ff {BOTH} {X264} -c:a aac whole.mkv; mux -o $OUT --attachment-mime-type font/ttf --attachment-name 'A font.ttf' --attach-file font.ttf "
     "--attachment-mime-type text/plain --attachment-name notes.txt --attach-file eng.srt whole.mkv eng.ass")
case("chapters and tags", "chapters.mkv", f"ff -i base.mkv -i sound.flac -i chapters.txt -map 0:v -map 1:a -map_metadata 2 -map_chapters 2 {X264} -c:a aac -metadata:s:v title='The picture' $OUT")
case("chapters and tags in mp4", "chapters.mp4", f"ff -i base.mkv -i sound.flac -i chapters.txt -map 0:v -map 1:a -map_metadata 2 -map_chapters 2 {X264} -c:a aac $OUT")
case("a time code track", "timecode.mp4", f"ff {BOTH} {X264} -c:a aac -timecode 01:00:00:00 $OUT", "DataStreams")
case("two videos", "two-videos.mkv", f"ff -i base.mkv -map 0:v -map 0:v {X264} $OUT", "SeveralVideoStreams")
case("captions in the video", "captions.mkv", f"ff {BASE} {X264} -x264-params aud=1 -f h264 a.h264; craft captions a.h264 b.h264; mux -o $OUT --default-duration 0:24p b.h264", "ClosedCaptions")
case("sound alone", "sound.mkv", "ff -i sound.flac -c:a aac $OUT", "NoVideo")
case("sound with a cover", "album.mp4", "ff -i sound.flac -i cover.jpg -map 0:a -map 1:v -c:a aac -c:v copy -disposition:v:0 attached_pic $OUT", "NoVideo")

# Broken, lying, hopeless
case("encrypted", "encrypted.mp4", f"ff {BOTH} {X264} -c:a aac -encryption_scheme cenc-aes-ctr -encryption_key 00112233445566778899aabbccddeeff "
     "-encryption_kid 112233445566778899aabbccddeeff00 $OUT", "CannotDecode")
case("cut off mp4", "cut.mp4", f"ff {BOTH} {X264} -c:a aac whole.mp4; craft cut 60 whole.mp4 $OUT", "Unreadable")
case("cut off mkv", "cut.mkv", f"ff {BOTH} {X264} -c:a aac whole.mkv; craft cut 60 whole.mkv $OUT", "CannotDecode")
case("zeros in the midst", "zeros.mkv", f"ff {BOTH} {X264} -c:a aac whole.mkv; craft zeroed whole.mkv $OUT", "CannotDecode")
case("lies on its duration", "lies.mkv", f"ff {BASE} {X264} whole.mkv; craft wrong-duration whole.mkv $OUT")
case("lies on its duration in mp4", "lies.mp4", f"ff {BOTH} {X264} -c:a aac whole.mp4; craft wrong-duration whole.mp4 $OUT")
case("does not shrink", "tight.mkv", f"ff {BASE} -c:v libx264 -preset slow -crf 40 $OUT", "NotSmaller", settings={"crf": 10})
case("a long name", "n" * 240 + " é映.mkv", f"ff {BOTH} {X264} -c:a aac $OUT")

# With the user's leave
ALLOW = {"containerChange": "Allow"}
case("avi, allowed", "allowed.avi", f"ff {BOTH} {X264} -bf 0 -c:a libmp3lame $OUT", settings=ALLOW)
case("mpeg-ts, allowed", "allowed.ts", f"ff {BOTH} {X264} -c:a aac $OUT", settings=ALLOW, filtered=[1])
case("mpeg-ps, allowed", "allowed.mpg", f"ff -r 25 {BOTH} -c:v mpeg2video -q:v 1 -c:a mp2 $OUT", settings=ALLOW)
case("quicktime, allowed", "allowed.mov", f"ff {BOTH} {X264} -c:a pcm_s16le $OUT", settings=ALLOW)
case("4:2:2, allowed", "422-allowed.mkv", f"ff {BASE} -c:v libx264 -preset veryfast -crf 4 -pix_fmt yuv422p $OUT", settings={"allow": ["ChromaReduced"]})
case("12 bit, allowed", "12bit-allowed.mkv", f"ff {BASE} {X265} -pix_fmt yuv420p12le $OUT", settings={"allow": ["DepthReduced"]})
case("captions, allowed", "captions-allowed.mkv", f"ff {BASE} {X264} -x264-params aud=1 -f h264 a.h264; craft captions a.h264 b.h264; mux -o $OUT --default-duration 0:24p b.h264",
     settings={"allow": ["ClosedCaptions"]})
case("two videos, allowed", "two-allowed.mkv", f"ff -i base.mkv -map 0:v -map 0:v {X264} $OUT", settings={"allow": ["SeveralVideoStreams"]}, kept=[])
case("a time code track, allowed", "timecode-allowed.mp4", f"ff {BOTH} {X264} -c:a aac -timecode 01:00:00:00 $OUT", settings={"allow": ["DataStreams"]})
for profile in ("Balanced", "FilmGrain"):
    case(f"profile {profile}", f"{profile}.mkv", f"ff {BOTH} {X264} -c:a aac $OUT", settings={"profile": profile}, out={"skip": ["pictures"] if profile == "FilmGrain" else []})
