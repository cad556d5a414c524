troth-assembly 1
; image 407469b36957fa7a1cfede254903c0f331d5bf46cdb8e3b4b60b67a14a6ba109
entry main

; protocol 0f21ebee390f700f9544cf0a9527e747ad2eaf081b97a933fae01752660ecef1
protocol Choose(A, B)
  type A
    0: B ! no() -> 1
     | yes(f0: str) -> 1
    1: end
  type B
    0: A ? no() -> 1
     | yes(f0: str) -> 1
    1: end

program main() registers 8
    open Choose(r0, r1)
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Choose.A) registers 8
    set r1 = "indeed"
    select r0 B!yes(r1)
    halt

program b(f0: Choose.B) registers 8
    branch r0 A? no() -> L1
          | yes(r1) -> L2
L1:
    halt
L2:
    op r7 = print(r1)
    halt
