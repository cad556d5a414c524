troth-assembly 1
; image 856d9989c4e284659eddc018dcf75146402210c20f34c617859ca457a2394760
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
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Ask.A) registers 8
    set r1 = 20
    send r0 B!ask(r1)
    recv r0 B?answer(r2)
    op r7 = print(r2)
    halt

program b(f0: Ask.B) registers 8
    recv r0 A?ask(r1)
    set r2 = 1
    op r1 = add(r1, r2)
    send r0 A!answer(r1)
    halt
