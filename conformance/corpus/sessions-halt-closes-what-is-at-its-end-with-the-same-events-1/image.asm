troth-assembly 1
; image 35e594ee24af5e052d325f02ce152dc304a8cef1a6342637e36c808a877af729
entry main

; protocol 0d4c3590c90a1a1d9c85b1feae5b6dc4ce27480d08f83c3260c69252fb767966
protocol One(A, B)
  type A
    0: B ! m(f0: int) -> 1
    1: end
  type B
    0: A ? m(f0: int) -> 1
    1: end

program main() registers 8
    open One(r0, r1)
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: One.A) registers 8
    set r1 = 5
    send r0 B!m(r1)
    halt

program b(f0: One.B) registers 8
    recv r0 A?m(r1)
    halt
