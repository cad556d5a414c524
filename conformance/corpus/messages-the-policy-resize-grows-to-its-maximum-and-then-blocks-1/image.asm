troth-assembly 1
; image afb83101b0b34f2ffcc6b50cba4beca18dbcebefab2db04f6a1afe7a105dbdc4
entry main

; protocol 7ef058162fc43ee6995c1195c2e26526404b0ec80ee60b264bb3cb5f8b2b119c
protocol Stream(A, B)
  edge A -> B: capacity = 1, policy = resize, resize_max = 3
  type A
    0: B ! item(f0: int) -> 0
     | last() -> 1
    1: end
  type B
    0: A ? item(f0: int) -> 0
     | last() -> 1
    1: end

program main() registers 8
    open Stream(r0, r1)
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
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
L9:
    branch r0 A? item(r1) -> L10
          | last() -> L12
L10:
    op r7 = print(r1)
    jump L9
L12:
    halt
