troth-assembly 1
; image d508f4118c01fc1ca7e6992559287406de18eddf239dda5bd8ad2cc174b9b857
entry main

program main() registers 8
    spawn r1 = child()
    spawn r1 = child()
    spawn r1 = child()
    halt

program child() registers 8
    set r2 = "a"
    op r7 = print(r2)
    yield
    set r2 = "b"
    op r7 = print(r2)
    yield
    halt
