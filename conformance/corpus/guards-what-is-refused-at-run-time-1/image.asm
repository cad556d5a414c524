troth-assembly 1
; image ebbbfde2b30a8f8c7c240acd4ff6f57aa8ed433d8286c6de35c625da7966ebcb
entry main

guard door
guard window

program main() registers 8
    spawn r0 = w0()
    halt

program w0() registers 8
    acquire door
    halt
