troth-assembly 1
; image d2549094ec5a2626c8c7a42d172ab1df0d6249f31a67e7f2db31eec59210d5e3
entry main

; protocol 47943e91058cbb1244c62b37dea12b123f7ee72e3b2cffd100d5139eff7381ca
protocol There(A, B)
  type A
    0: B ! m(f0: int) -> 1
    1: end
  type B
    0: A ? m(f0: int) -> 1
    1: end

; protocol 5210681b5471b47fff3840d8852bc35bf7ffe9d5a30678311b6e9d0cb2bd72fe
protocol Back(A, B)
  type A
    0: B ? n(f0: int) -> 1
    1: end
  type B
    0: A ! n(f0: int) -> 1
    1: end

program main() registers 8
    open There(r0, r1)
    open Back(r2, r3)
    spawn r4 = one(r0, r2)
    spawn r4 = two(r1, r3)
    halt

program one(f0: There.A, f1: Back.A) registers 8
    recv r1 B?n(r2)
    send r0 B!m(r2)
    halt

program two(f0: There.B, f1: Back.B) registers 8
    recv r0 A?m(r2)
    send r1 A!n(r2)
    halt
