troth-assembly 1
; image 521b9505ff9121b398c3c7c408f8f076152f1a2fd4ebdfb49c730c85d4800877
source "bundle-fault-late.troth"
entry main

; protocol c8eaa7911c44ebbf18854f7273933d3ddb99446e11ec4f5faba801c5531e640d
protocol Down(A, B)
  type A
    0: B ! picture(n: int) -> 1
    1: end
  type B
    0: A ? picture(n: int) -> 1
    1: end

; protocol 3e92172a090932328ff7c4c29e3ba2c01f248ef0f6777b95d08734b00fdf6192
protocol Up(C, D)
  type C
    0: D ! key(n: int) -> 1
    1: end
  type D
    0: C ? key(n: int) -> 1
    1: end

bundle Desk(H, V)
  child down = Down(0, 1)
  child up = Up(1, 0)

program host("d.down": Down.A, "d.up": Up.D) registers 4
  @13  set r3 = 1
       send r0 B!picture(r3)
  @14  recv r1 C?key(r2)
  @15  op r3 = print(r2)
  @16  close r0
       close r1
       halt

program viewer("d.down": Down.B, "d.up": Up.C) registers 4
  @19  set r2 = 7
       send r1 D!key(r2)
  @20  yield
  @21  yield
  @22  yield
  @23  yield
  @24  yield
  @25  yield
  @26  set r2 = "late"
       op r3 = fail(r2)

program main() registers 5
    open_bundle Desk(r0, r1, r2, r3)
    spawn r4 = host(r0, r3)
    spawn r4 = viewer(r1, r2)
    halt
