troth-assembly 1
; image f8e4804d92384acf23b80921ad5037a7cac599bd4f89a39964dc99480d4bdf7a
entry main

; protocol 0d4c3590c90a1a1d9c85b1feae5b6dc4ce27480d08f83c3260c69252fb767966
protocol One(A, B)
  type A
    0: B ! m(f0: int) -> 1
    1: end
  type B
    0: A ? m(f0: int) -> 1
    1: end

; protocol 4525e2d198de1b8b43a8155efc0bd9478fe39892156d272f3b0728f19395a66f
protocol Two(B, C)
  type B
    0: C ! m(f0: int) -> 1
    1: end
  type C
    0: B ? m(f0: int) -> 1
    1: end

program main() registers 8
    open One(r0, r1)
    open Two(r2, r3)
    spawn r4 = a(r0)
    spawn r4 = b(r1, r2)
    spawn r4 = c(r3)
    halt

program a(f0: One.A) registers 8
    yield
    yield
    yield
    set r1 = "no"
    op r7 = fail(r1)

program b(f0: One.B, f1: Two.B) registers 8
    recv r0 A?m(r2)
    send r1 C!m(r2)
    halt

program c(f0: Two.C) registers 8
    recv r0 B?m(r1)
    halt
