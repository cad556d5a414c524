troth-assembly 1
; image 37bd119cd1659df27af305117246ad2ac9accd6f1be89f07f26a849a1cd3fa5c
source "timed-late.troth"
entry main

; protocol 2f2df398b7ea24593176d768b3edef1819cb200a3782c6af0afe905475157e07
protocol Consent(Viewer, Host)
  type Viewer
    0: Host ! ask() -> 1
    1: Host ? late() -> 2
     | yes() -> 2
    2: end
  type Host
    0: Viewer ? ask() -> 1
    1: Viewer within 5000000: timeout() -> 2
     | within() -> 3
    2: Viewer ! late() -> 4
    3: Viewer ! yes() -> 4
    4: end

program viewer(s: Consent.Viewer) registers 3
  @9   send r0 Host!ask()
  @10  branch r0 Host? late() -> L5
          | yes() -> L2
L2:
  @12  set r1 = "yes"
       op r2 = print(r1)
       jump L7
L5:
  @14  set r1 = "late"
       op r2 = print(r1)
L7:
  @15  close r0
       halt

program host(s: Consent.Host) registers 6
  @18  recv r0 Viewer?ask()
  @19  timer r0 L13
  @20  set r2 = 0
       set r3 = 20
       set r5 = 1
L5:
       op r4 = ge(r2, r3)
       jump_if r4 L11
       move r1 = r2
  @21  yield
  @20  op r2 = add(r2, r5)
       jump L5
L11:
  @22  send r0 Viewer!yes()
       jump L14
L13:
  @24  send r0 Viewer!late()
L14:
  @25  close r0
       halt

program main() registers 3
    open Consent(r0, r1)
    spawn r2 = viewer(r0)
    spawn r2 = host(r1)
    halt
