# What every generator of the media matrix starts from, made once in the current folder. Sourced by what makes a case, too, for
# the words `ff` and `mux`. /in holds real clips.
# shellcheck shell=bash
set -euo pipefail

ff() { ffmpeg -v error -nostdin -y "$@" </dev/null; }
# mkvmerge ends with 1 for warnings, which are no failure.
mux() { mkvmerge --quiet "$@" >/dev/null || [ $? -eq 1 ]; }
craft() { python3 /matrix/craft.py "$@"; }

make_common() {
  # Two seconds of real film and sound, without loss.
  ff -i /in/bigbuckbunny.mp4 -map 0:v -vf 'trim=start_frame=20:end_frame=68,setpts=N/24/TB,scale=320:180,setsar=1' -r 24 \
    -c:v ffv1 -pix_fmt yuv420p base.mkv
  ff -i /in/bigbuckbunny.mp4 -map 0:a -af 'atrim=0:2,asetpts=PTS-STARTPTS' -ar 48000 -ac 2 -c:a flac sound.flac
  ff -i sound.flac -af 'pan=5.1|FL=FL|FR=FR|FC=FL|LFE=FR|BL=FL|BR=FR' -c:a flac sound51.flac
  ff -i sound.flac -af 'pan=7.1|FL=FL|FR=FR|FC=FL|LFE=FR|BL=FL|BR=FR|SL=FL|SR=FR' -c:a flac sound71.flac
  printf '1\n00:00:00,200 --> 00:00:00,900\nA rabbit <i>wakes</i> up.\n\n2\n00:00:01,100 --> 00:00:01,700\nIt yawns.\n' >eng.srt
  printf '1\n00:00:00,200 --> 00:00:00,900\nКролик просыпается.\n' >rus.srt
  ff -i eng.srt -c:s ass eng.ass
  printf 'WEBVTT\n\n00:00.200 --> 00:00.900 align:start\nA rabbit wakes up.\n' >eng.vtt
  craft pgs pictures.sup
  ff -i base.mkv -frames:v 1 -vf scale=160:160 -pix_fmt yuvj420p cover.jpg
  head -c 20000 /in/bikes.mp4 >font.ttf
  printf ';FFMETADATA1\ntitle=A film\nartist=Nobody\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=Opening\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=900\nEND=2000\ntitle=Fin äöü\n' >chapters.txt
}
