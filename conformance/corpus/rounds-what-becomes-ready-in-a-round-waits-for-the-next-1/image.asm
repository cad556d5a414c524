troth-assembly 1
; image fdd610f7f742cfd34b8a98a918db3d971ad1cc1e82b3a36d1cdebd82aa6aaa93
entry main

program main() registers 8
    spawn r1 = child()
    set r2 = "main"
    op r7 = print(r2)
    halt

program child() registers 8
    set r2 = "child"
    op r7 = print(r2)
    halt
