"""FreeSWITCH applications over its event socket."""
