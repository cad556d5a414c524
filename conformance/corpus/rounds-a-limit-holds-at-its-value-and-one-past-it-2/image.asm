troth-assembly 1
; image eb96cc9072f1de42fdf5e4ea1a211050c11ef294c632bbcc7134c33fac794310
entry main

program main() registers 8
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    halt

program child() registers 8
    yield
    yield
    yield
    halt
