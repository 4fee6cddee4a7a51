"""Live streams: marked frames as H.264 with sound, sent to a server that may come and go.

::

    frame ─► Letterbox ─► I420 ─► H264Encoder ──┐
    SoundTrack ─► SoundEncoder (AAC or Opus) ───┴─► sender ─► network

The sink encodes in its outlet's thread. What touches the network runs elsewhere: FFmpeg's `fifo`
muxer has a thread of its own that needs no interpreter (RTMP, MPEG-TS), and WHIP has an event loop
in one. Both keep two seconds at the most and drop what is older.
"""
