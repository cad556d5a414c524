troth-assembly 1
; image c26eac0195179fa8c67b24d75256eb019e5c460ed9a1aadfe677dfe31c9e327b
entry main

; protocol 140f52e0b52d54dc566e3de61b3384122855d442a12e4140287f4e608bd26b93
protocol Ask(A, B)
  type A
    0: B ! ask(f0: int) -> 1
    1: B ? answer(f0: int) -> 2
    2: end
  type B
    0: A ? ask(f0: int) -> 1
    1: A ! answer(f0: int) -> 2
    2: end

program main() registers 8
    open Ask(r0, r1)
    open Ask(r2, r3)
    set r4 = 1
    send r0 B!ask(r4)
    send r2 B!ask(r4)
    yield
    recv r1 A?ask(r5)
    halt
