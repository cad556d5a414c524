troth-assembly 1
; image 8a5a2eca5778f93a5644b2b3beb5d684037bf9005685772c1f7e2a98d30d0492
source "bundle-host-cancels.troth"
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
  @12  yield
  @13  yield
  @14  yield
  @15  yield
  @16  yield
  @17  yield
  @18  set r3 = 1
       send r0 B!picture(r3)
  @19  recv r1 C?key(r2)
  @20  op r3 = print(r2)
  @21  close r0
       close r1
       halt

program viewer("d.down": Down.B, "d.up": Up.C) registers 4
  @24  set r3 = 7
       send r1 D!key(r3)
  @26  recv r0 A?picture(r2)
  @27  op r3 = print(r2)
  @28  close r0
       close r1
       halt

program main() registers 5
    open_bundle Desk(r0, r1, r2, r3)
    spawn r4 = host(r0, r3)
    spawn r4 = viewer(r1, r2)
    halt
