"""Sources and sinks of pictures, sound and input, and what is measured of them.

A device plugs in behind the interfaces of `interfaces`; the synthetic ones here need no device and
show what arrived: the number of each frame is read back from its pixels.
"""
