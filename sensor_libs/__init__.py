"""What a sensor library declares itself with. Everything a library may import: this module and numpy.

A library is one Python file with a `LIBRARY` and a `convert` function (or `derive`, for values computed from other
series)::

    from sensor_libs import Converted, FloatArray, Library, Number, Output, Params

    LIBRARY = Library(
        name="my_probe", version="1.0.0",
        outputs=(Output("my_probe", aliases=("myprobe",), unit="°C", quantity="temperature", low=-40, high=85),),
        parameters={"offset": Number(0.0, unit="°C")},
    )

    def convert(raw: FloatArray, params: Params) -> Converted:
        return Converted(raw / 10 + params["offset"])

Put the file into the library folder of growyd and it is in use within two seconds; no restart.
"""
