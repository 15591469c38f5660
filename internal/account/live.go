package account

import "sync/atomic"

// live is what may be set while the service is used.
type live struct {
	registration    atomic.Pointer[string]
	registerPerHour atomic.Int64
	requests        atomic.Int64
}

// SetRegistration says who may register from now on: Open, Code, Invite or Closed. Anything else is as good as Closed.
func (s *Service) SetRegistration(policy string) { s.live.registration.Store(&policy) }

// Registration returns who may register.
func (s *Service) Registration() string { return *s.live.registration.Load() }

// SetLimits changes how many registrations an hour one network may make, and how many requests a minute Pace lets
// through; 0 for no limit.
func (s *Service) SetLimits(registerPerHour, requests int) {
	s.live.registerPerHour.Store(int64(registerPerHour))
	s.live.requests.Store(int64(requests))
}

func (s *Service) perHour() int { return int(s.live.registerPerHour.Load()) }
