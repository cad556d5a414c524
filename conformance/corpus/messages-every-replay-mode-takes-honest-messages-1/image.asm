troth-assembly 1
; image abce97b28e4d7bd229c87b75b07f12986add21d17ccbe91297e8b5fa82fe9665
entry main

; protocol 4de9a46b0e0ee3153ac6a38172ef14e4e33fe2e61563b62dacc07472eee1182d
protocol Stream(A, B)
  type A
    0: B ! item(f0: int) -> 0
     | last() -> 1
    1: end
  type B
    0: A ? item(f0: int) -> 0
     | last() -> 1
    1: end

program main() registers 8
    open Stream(r0, r1) with replay = off
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Stream.A) registers 8
    set r1 = 7
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!last()
    set r2 = "sent"
    op r7 = print(r2)
    halt

program b(f0: Stream.B) registers 8
L0:
    branch r0 A? item(r1) -> L1
          | last() -> L3
L1:
    op r7 = print(r1)
    jump L0
L3:
    halt
