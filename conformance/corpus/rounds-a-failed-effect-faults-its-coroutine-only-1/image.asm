troth-assembly 1
; image 954626550eb4b2d00a8118e5c37b512fd8275b4b72eb6a149d885ff4383217f3
entry main

effect double(f0: int) -> int

program main() registers 8
    spawn r3 = other()
    set r1 = 21
    invoke r2 = double(r1)
    op r7 = print(r2)
    halt

program other() registers 8
    yield
    yield
    yield
    yield
    set r1 = "still here"
    op r7 = print(r1)
    halt
