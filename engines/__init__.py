"""Compiled networks: how a graph is made, rewritten, built, cached and run. Knows nothing of faces.

::

    networks/     a folder for each family of published networks; loading of their checkpoints
    deploy.py     parts of the same networks in the form that is fast on a runtime
    export.py     PyTorch -> ONNX, with its precision
    graph.py      TensorSpec, ModelSpec; reading and checking ONNX graphs
    resample.py   rewriting of 5-D GridSample for runtimes that lack it
    precision.py  fp16 and int8 forms of a graph
    build.py      ONNX -> engine, in a cache that two processes may share
    runner.py     Runner: checked ``infer()`` over a backend's own
    onnxruntime.py openvino.py torch.py tensorrt.py     one backend each
    opencv.py     small graphs in OpenCV, which is always here
    tflite.py lite_onnx.py onnx_bytes.py     TensorFlow Lite -> ONNX, without either's library
    nvidia.py     which of NVIDIA's libraries and cards are here, and what runs on what
    backends.py   the table of backends: what each runs on, and how it opens a graph
    select.py     which backend this machine can run, and why
    compare.py    parity of a backend against a reference
    measure.py    how long a frame takes on this machine

No module here imports torch, onnx or a runtime before it is asked to do something.
"""
